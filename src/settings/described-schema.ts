// The schema of the settings for people: JSON Schema with the words of each setting in English and Chinese. The
// reference and the forms of the console are made from it. It checks nothing.
import type * as z from "zod";
import { ROOT_KEYS, SERVER_KEYS } from "./load.ts";
import { settingsJsonSchema, settingsSchema } from "./schema/schema.ts";
import { SETTINGS_ZH, type SettingWords } from "./schema/words-zh.ts";
import type { SettingSchema } from "./setting-schema.ts";

/** `schema` and `words` are arguments, so that a test can add a setting. Throws if a setting has no Chinese words. */
export function describedSchema(schema: z.ZodType = settingsSchema, words: SettingWords = SETTINGS_ZH): SettingSchema {
  const described = settingsJsonSchema(schema, []) as SettingSchema;
  describe("", described, words);
  return described;
}

function describe(path: string, { properties, items, oneOf }: SettingSchema, words: SettingWords): void {
  if (items !== undefined) describe(`${path}[]`, items, words);
  for (const variant of oneOf ?? []) describe(`${path} (type: ${variant.properties?.type?.const})`, variant, words);
  for (const [key, setting] of Object.entries(properties ?? {})) {
    setting.zh = wordsOf(sectionOf(path), key, words);
    if (waitsForRestart(path, key)) setting.needsRestart = true;
    describe(path === "" ? key : `${path}.${key}`, setting, words);
  }
}

/** The name of a mapping in the reference: its path below the bucket or domain. */
export function sectionOf(path: string): string {
  return path.replace(/^projects\[\]\.(?:buckets\[\]\.(?:domains\[\]\.)?)?/, "");
}

function wordsOf(section: string, key: string, words: SettingWords): string {
  const withoutType = section.replace(/ \(type: \w+\)/, "");
  // A rule may override the settings of its mirror source.
  const ofMirror = section.replace("mirror.rules[]", "mirror");
  const sections = [section, withoutType, ofMirror, ofMirror.replace(/ \(type: \w+\)/, "")];
  const found = sections.map((each) => words[each]?.[key]).find((text) => text !== undefined);
  if (found === undefined) throw new Error(`the setting ${key} of "${section}" has no Chinese words`);
  return found;
}

const waitsForRestart = (path: string, key: string) =>
  (path === "" && ROOT_KEYS.some((each) => each === key)) ||
  (path === "server" && SERVER_KEYS.some((each) => each === key));
