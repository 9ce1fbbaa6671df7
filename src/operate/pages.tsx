// The console: one page application on the admin port, with the pages of all features. Vite builds it from this file.
import { useComputed } from "@preact/signals";
import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import { BucketPage } from "./buckets/page/bucket.tsx";
import { BucketsPage } from "./buckets/page/list.tsx";
import { WizardPage } from "./buckets/wizard/wizard.tsx";
import { Callbacks } from "./callbacks/page.tsx";
import { App, type Pages } from "./console/app.tsx";
import { Page } from "./console/parts/parts.tsx";
import { isTrial, Link, query } from "./console/router.tsx";
import { language, t } from "./console/text/text.ts";
import { Explain } from "./explain/page.tsx";
import { ImagePage } from "./images/page/image.tsx";
import { ImagesPage } from "./images/page/images.tsx";
import { MigrationsPage } from "./migrations/page/migrations.tsx";
import { Nodes } from "./nodes/page.tsx";
import { Operations } from "./operations/page.tsx";
import { OriginsPage } from "./origins/page.tsx";
import { OverviewPage } from "./overview/page/overview.tsx";
import { SettingsPage } from "./settings/page/settings.tsx";
import { Usage } from "./usage/page.tsx";
import "./console/style.css";

const PAGES: Pages = {
  "/": OverviewPage,
  "/buckets": BucketsPage,
  "/buckets/one": () => <BucketPage key={query.value.get("bucket")} />,
  "/buckets/new": WizardPage,
  "/images": ImagesPage,
  "/images/one": ImagePage,
  "/origins": OriginsPage,
  "/migrations": MigrationsPage,
  "/logs": LogsPage,
  "/settings": SettingsPage,
};

const LOGS = { operations: Operations, usage: Usage, callbacks: Callbacks, explain: Explain, nodes: Nodes };
const VIEWS = Object.keys(LOGS) as readonly (keyof typeof LOGS)[]; // LOGS has no others.

/** The logs: operations, usage by day, callbacks that are owed, the steps that a request would take, and the nodes. */
function LogsPage() {
  const view = useComputed(() => VIEWS.find((name) => name === query.value.get("view")) ?? "operations");
  const View = LOGS[view.value];
  return (
    <Page title={t("logs")} about={t("logsAbout")}>
      <nav class="tabs" aria-label={t("logs")}>
        {VIEWS.filter((name) => !(isTrial && ["callbacks", "nodes"].includes(name))).map((name) => (
          <Link key={name} href={`/logs?view=${name}`} aria-current={name === view.value ? "page" : undefined}>
            {t(name)}
          </Link>
        ))}
      </nav>
      <View />
    </Page>
  );
}

language.value = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const place = document.querySelector("#console");
// The server's document has landmarks of its own for browsers without scripts.
place?.replaceChildren();
if (place !== null) render(<App pages={PAGES} />, place);
