// Checks the YAML blocks of the documentation as `huiyuan check` does: whole files as they are, parts inside a file.
import { isMap, parse, parseDocument } from "yaml";
import { SettingsFaults } from "../../src/settings/faults.ts";
import { parseSettings } from "../../src/settings/load.ts";
import type { Block } from "./page-blocks.ts";

/** Puts a part of the settings into a whole file. */
const PLACES: Readonly<Record<string, (part: object) => object>> = {
  root: (part) => ({ ...whole({}), ...part }),
  bucket: (part) => whole(part),
  domain: (part) => whole({ domains: [{ ...domain({}), ...part }] }),
  mirror: (part) => whole({ domains: [domain(part)] }),
  origin: (part) => whole({ domains: [domain({ origins: [part].flat() })] }),
};

const domain = (mirror: object) => ({
  host: "img.example.com",
  mirror: { origins: [{ type: "site", url: "https://www.example.com" }], ...mirror },
});

const whole = (bucket: object) => ({
  projects: [
    {
      appid: "10001234",
      keys: [{ secretId: "AKIDEXAMPLE", secretKey: "an example of a secret key" }],
      buckets: [{ name: "photos", domains: [domain({})], ...bucket }],
    },
  ],
});

/** False if a part does not say where it stands. */
export function isPlaced({ marks, text }: Block): boolean {
  return marks.kind !== undefined || marks.in !== undefined || isWholeFile(text);
}

export function isWholeFile(text: string): boolean {
  const { contents } = parseDocument(text);
  return isMap(contents) && contents.has("projects");
}

/** The faults of a block, each with its path; empty if it is good. Secrets and files have stand-ins. */
export function settingsFaults({ marks, text, page }: Block): readonly string[] {
  const place = PLACES[marks.in ?? ""];
  if (marks.in !== undefined && place === undefined) return [`there is no part "${marks.in}" of the settings`];
  const file = place === undefined ? text : JSON.stringify(place(parse(text)));
  const names = [...file.matchAll(/env:(\w+)/g)].map(([, name = ""]) => name);
  const env = Object.fromEntries(names.map((name) => [name, "stand-in-of-a-secret"]));
  try {
    parseSettings(file, { env, file: `/${page}`, readFile: () => "stand-in-of-a-file" });
    return [];
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    return error.faults.map(({ path, message }) => `${path}: ${message}`);
  }
}
