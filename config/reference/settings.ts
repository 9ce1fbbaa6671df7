// Writes docs/reference/settings.md and docs/zh/settings.md from the schema of the settings and its Chinese words: one
// table for each mapping of huiyuan.yaml.
import { describedSchema, sectionOf } from "../../src/settings/described-schema.ts";
import { mirrorShape } from "../../src/settings/schema/mirror-schema.ts";
import type { SettingSchema } from "../../src/settings/setting-schema.ts";
import { code, page, table } from "./markdown.ts";
import { type CellWords, cellsOf, EN_CELLS, ZH_CELLS } from "./setting-cells.ts";

const INTRO = `This page lists every key of \`huiyuan.yaml\` with its type, default and range. [config/huiyuan.yaml](../../config/huiyuan.yaml)
is a file to copy. Editors complete the keys by [config/huiyuan.schema.json](../../config/huiyuan.schema.json).

- \`huiyuan check\` names every fault with its line. Unknown keys are refused.
- A key that is left out has its default. A key without a default may be left out, unless it is **required**.
- A change takes effect within a second. Keys marked ↻ need a restart.
- A size is \`512\`, \`64KB\` (10³), \`64MiB\` (2²⁰) and so on. A duration is \`500ms\`, \`30s\`, \`5m\`, \`2h\` or \`7d\`.
- A secret may be written as \`env:NAME\` or \`file:PATH\`. Paths start from the folder of the settings file.`;

const ZH_INTRO = `本页列出 \`huiyuan.yaml\` 的全部配置项，以及类型、默认值和范围。[config/huiyuan.yaml](../../config/huiyuan.yaml)
可以复制使用。编辑器可按 [config/huiyuan.schema.json](../../config/huiyuan.schema.json) 补全。

- \`huiyuan check --lang zh\` 用中文列出每个错误及其行号。不认识的配置项会被拒绝。
- 没有写的配置项使用默认值。没有默认值的可以不写，标明**必填**的除外。
- 修改在一秒内生效；标有 ↻ 的需要重启。
- 大小写作 \`512\`、\`64KB\`（10³）、\`64MiB\`（2²⁰）等，时长写作 \`500ms\`、\`30s\`、\`5m\`、\`2h\` 或 \`7d\`。
- 密钥可以写成 \`env:NAME\` 或 \`file:PATH\`。相对路径从配置文件所在的文件夹算起。`;

interface Language {
  /** The words of a setting, in Markdown. */
  readonly meaning: (schema: SettingSchema) => string;
  readonly cells: CellWords;
  readonly heads: readonly string[];
  readonly required: string;
  readonly wholeFile: string;
  readonly below: (path: string) => string;
  readonly ruleNote: string;
}

const EN: Language = {
  meaning: ({ description = "" }) => description,
  cells: EN_CELLS,
  heads: ["key", "type", "default", "range", "meaning"],
  required: "**required**",
  wholeFile: "The whole file",
  below: (path) => `Below ${path}.`,
  ruleNote:
    "A rule may also have every key of `mirror` but `maxKeys` and `rules`. The domain's value holds for keys that it leaves out.",
};

const ZH: Language = {
  meaning: ({ zh = "" }) => zh,
  cells: ZH_CELLS,
  heads: ["配置项", "类型", "默认值", "范围", "含义"],
  required: "**必填**",
  wholeFile: "整个文件",
  below: (path) => `位于 ${path} 之下。`,
  ruleNote: "规则还可以有 `mirror` 的所有配置项，`maxKeys` 和 `rules` 除外；没有写的沿用该域名的值。",
};

/** The pages of a schema in English and Chinese. */
export const settingsPage = (schema = describedSchema()) => page("Settings", INTRO, ...sectionsOf("", schema, EN));

export const zhSettingsPage = (schema = describedSchema()) =>
  page("配置项", "[English](../reference/settings.md)", ZH_INTRO, ...sectionsOf("", schema, ZH));

/** The table of one mapping, then those of the mappings in it. `path` is empty for the whole file. */
function sectionsOf(path: string, schema: SettingSchema, language: Language): readonly string[] {
  const isRule = path.endsWith("rules[]");
  const keys = Object.entries(schema.properties ?? {}).filter(([key]) => !isRule || !(key in mirrorShape));
  const name = sectionOf(path);
  const above = path.slice(0, path.length - name.length);
  const rows = keys.map(([key, value]) => {
    const isRequired = schema.required?.includes(key) === true;
    const mark = value.needsRestart ? " ↻" : "";
    const [type, preset, range] = cellsOf(value, language.cells);
    const meaning = escaped(language.meaning(value));
    return [code(key) + mark, type, isRequired ? language.required : preset, range, meaning];
  });
  return [
    `## ${name || language.wholeFile}`,
    ...(above === "" ? [] : [language.below(code(above.slice(0, -1)))]),
    table(language.heads, rows),
    ...(isRule ? [language.ruleNote] : []),
    ...keys.flatMap(([key, value]) => partsOf(path === "" ? key : `${path}.${key}`, value, language)),
  ];
}

const escaped = (words: string) => words.replace(/</g, "&lt;").replace(/\*/g, "\\*");

/** The sections of the mappings that a value has. A mapping of several types has a section for each. */
function partsOf(
  path: string,
  { properties, items, oneOf, ...rest }: SettingSchema,
  language: Language,
): readonly string[] {
  if (properties !== undefined) return sectionsOf(path, { ...rest, properties }, language);
  if (items !== undefined) return partsOf(`${path}[]`, items, language);
  return (oneOf ?? []).flatMap((each) => {
    const { type } = each.properties as Readonly<Record<"type", SettingSchema>>;
    return sectionsOf(`${path} (type: ${type.const})`, each, language);
  });
}
