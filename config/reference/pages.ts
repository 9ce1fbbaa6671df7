// The generated pages of the documentation. `npm run reference` writes them; a test says when a page is behind.
import { adminApiPage, restApiPage } from "./apis.ts";
import { cliPage } from "./cli.ts";
import { errorsPage, zhErrorsPage } from "./errors.ts";
import { glossaryPage } from "./glossary.ts";
import { limitsPage } from "./limits.ts";
import { metricsPage } from "./metrics.ts";
import { settingsPage, zhSettingsPage } from "./settings.ts";

/** Path below the repository → its text. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  "docs/reference/settings.md": settingsPage,
  "docs/reference/cli.md": cliPage,
  "docs/reference/errors.md": errorsPage,
  "docs/reference/limits.md": limitsPage,
  "docs/reference/glossary.md": glossaryPage,
  "docs/zh/errors.md": zhErrorsPage,
  "docs/zh/settings.md": zhSettingsPage,
  "docs/reference/metrics.md": metricsPage,
  "docs/reference/rest-api.md": restApiPage,
  "docs/reference/admin-api.md": adminApiPage,
};
