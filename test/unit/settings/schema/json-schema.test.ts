import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseSettings } from "../../../../src/settings/load.ts";
import { settingsJsonSchema } from "../../../../src/settings/schema/schema.ts";

const config = (name: string) => readFileSync(new URL(`../../../../config/${name}`, import.meta.url), "utf8");

test("config/huiyuan.schema.json is current (npm run reference)", () => {
  expect(config("huiyuan.schema.json")).toBe(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
});

test("settingsJsonSchema() describes every key", () => {
  const undescribed: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== "object" || schema === null) return;
    for (const [name, value] of Object.entries(schema)) {
      if (name !== "properties") visit(value, `${path}/${name}`);
      else
        for (const [key, property] of Object.entries(value as Record<string, { description?: string }>)) {
          if (property.description === undefined) undescribed.push(`${path}/${key}`);
          visit(property, `${path}/${key}`);
        }
    }
  };
  visit(settingsJsonSchema(), "");
  expect(undescribed).toEqual([]);
});

test("settingsJsonSchema() offers supported types only", () => {
  const text = JSON.stringify(settingsJsonSchema());
  expect(text).toContain('"site"');
  expect(text).not.toContain('"gcs"');
});

test("config/huiyuan.yaml is valid without changes", () => {
  const readFile = () => {
    throw new Error("the trial reads no other file");
  };
  const settings = parseSettings(config("huiyuan.yaml"), { env: {}, readFile, file: "config/huiyuan.yaml" });
  expect(settings.projects[0]?.buckets.map((bucket) => bucket.token)).toEqual(["off", "required"]);
});
