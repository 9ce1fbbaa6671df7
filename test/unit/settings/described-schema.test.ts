// A setting is said once: one that is added to a copy of the schema, with its Chinese words, is found wherever settings
// are. test/e2e/console-buckets.lab.test.ts sees one in the console's forms.
import { expect, test } from "vitest";
import * as z from "zod";
import { settingsPage, zhSettingsPage } from "../../../config/reference/settings.ts";
import { choicesOf, kindOf } from "../../../src/operate/settings/page/setting-schema.ts";
import { describedSchema } from "../../../src/settings/described-schema.ts";
import { readDocument } from "../../../src/settings/document.ts";
import { SettingsFaults } from "../../../src/settings/faults.ts";
import { checkSettings } from "../../../src/settings/load.ts";
import { settingsJsonSchema, settingsSchema } from "../../../src/settings/schema/schema.ts";
import { SETTINGS_ZH } from "../../../src/settings/schema/words-zh.ts";
import type { SettingSchema } from "../../../src/settings/setting-schema.ts";

const greeting = z.enum(["plain", "warm"]).default("plain").describe("How a page begins.");
const schema = settingsSchema.safeExtend({ greeting });
const words = { ...SETTINGS_ZH, "": { ...SETTINGS_ZH[""], greeting: "页面如何开头。" } };
const described = describedSchema(schema, words);

test("the JSON Schema for editors has it", () => {
  const said = { type: "string", enum: ["plain", "warm"], default: "plain", description: "How a page begins." };
  expect(settingsJsonSchema(schema).properties?.greeting).toEqual(said);
});

test("both references have it, each in its language", () => {
  expect(settingsPage(described)).toMatch(/^\| `greeting` \|.*plain.*\| How a page begins\. \|$/m);
  expect(zhSettingsPage(described)).toMatch(/^\| `greeting` \|.*plain.*\| 页面如何开头。 \|$/m);
});

test("a setting without Chinese words is refused", () => {
  expect(() => describedSchema(schema)).toThrow('the setting greeting of "" has no Chinese words');
});

test("`check` knows its values, and says a fault in both languages with its line", () => {
  const file = "huiyuan.yaml";
  const check = (value: string) => {
    const text = `projects: [{ appid: "10001234", keys: [{ secretId: AKIDTEST, secretKey: secretsecretsecret }], buckets: [] }]\ngreeting: ${value}\n`;
    return checkSettings(readDocument(text), { file, env: {}, readFile: () => "" }, schema);
  };
  expect(check("warm")).toMatchObject({ greeting: "warm" });
  const faults = (() => {
    try {
      check("loud");
    } catch (error) {
      if (error instanceof SettingsFaults) return error.faults;
    }
    return [];
  })();
  expect(faults).toEqual([
    {
      line: 2,
      column: 11,
      path: "greeting",
      message: expect.stringMatching(/loud.*plain.*warm/),
      zh: expect.stringMatching(/loud.*plain.*warm/),
    },
  ]);
  expect(faults[0]?.zh).toMatch(/[一-龥]/);
});

test("the console's form draws it as a choice", () => {
  const setting = described.properties?.greeting as SettingSchema;
  expect([kindOf(setting), choicesOf(setting), setting.zh]).toEqual(["choice", ["plain", "warm"], "页面如何开头。"]);
});
