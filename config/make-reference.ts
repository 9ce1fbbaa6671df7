// Writes the generated pages of the reference: `npm run reference`.
import { writeFileSync } from "node:fs";
import { PAGES } from "./reference/pages.ts";

for (const [path, write] of Object.entries(PAGES)) {
  writeFileSync(new URL(`../${path}`, import.meta.url), await write());
}
