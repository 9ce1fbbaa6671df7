// Writes config/huiyuan.schema.json from the settings schema: `npm run reference`.
import { writeFileSync } from "node:fs";
import { settingsJsonSchema } from "../src/settings/schema/schema.ts";

const target = new URL("./huiyuan.schema.json", import.meta.url);
writeFileSync(target, `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
