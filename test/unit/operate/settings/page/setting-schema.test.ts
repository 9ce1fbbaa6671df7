import { describe, expect, test } from "vitest";
import {
  choicesOf,
  kindOf,
  newValue,
  schemaAt,
  textOf,
  valueOfLines,
  valueOfText,
  variantOf,
} from "../../../../../src/operate/settings/page/setting-schema.ts";
import { describedSchema } from "../../../../../src/settings/described-schema.ts";
import type { SettingSchema } from "../../../../../src/settings/setting-schema.ts";

const ROOT = describedSchema();
const BUCKET = ["projects", 0, "buckets", 0];
const ORIGIN = [...BUCKET, "domains", 0, "mirror", "origins", 0];
const at = (...path: (string | number)[]) => schemaAt(ROOT, path, {});
const origin = (type: string, key: string) =>
  schemaAt(ROOT, [...ORIGIN, key], { projects: [{ buckets: [{ domains: [{ mirror: { origins: [{ type }] } }] }] }] });

describe("the control of a setting", () => {
  test.each([
    ["a number", at("server", "port"), "text"],
    ["a size", at("limits", "memory"), "text"],
    ["one of several words", at("server", "accessLog"), "choice"],
    ["yes or no", at("projects", 0, "acceptV1Signature"), "toggle"],
    ["a secret", at("server", "adminToken"), "secret"],
    ["a list of texts", at("server", "trustedProxies"), "lines"],
    ["a mapping", at("server"), "mapping"],
    ["a mapping of one of several types", at("store"), "typed"],
    ["a list of mappings", at("projects"), "mappings"],
    ["a mapping of names", at(...BUCKET, "aliases"), "entries"],
    ["a setting that only one type of origin has", origin("s3", "region"), "text"],
  ])("%s", (_, schema, kind) => expect(kindOf(schema)).toBe(kind));
});

test("the settings of a type are those of the value, and of the first type if it has none", () => {
  const types = (value: unknown) => variantOf(at("store"), value).properties?.type?.const;
  expect([types({ type: "s3" }), types({ type: "none" }), types(undefined)]).toEqual(["s3", "fs", "fs"]);
});

test("a new item has what it must have", () => {
  expect(newValue(at(...BUCKET, "domains", 0))).toEqual({ host: "" });
  expect(newValue(at("projects", 0))).toMatchObject({ appid: "" });
  expect(newValue(at(...ORIGIN))).toMatchObject({ type: expect.any(String) });
});

test.each<[string, SettingSchema, string, unknown]>([
  ["no text removes the setting", { type: "string" }, "", undefined],
  ["two quotes are the empty text", { type: "string" }, '""', ""],
  ["a number", { type: "integer" }, "8080", 8080],
  ["a number with a fraction", { type: "number" }, "0.5", 0.5],
  ["a size in words or in bytes", { anyOf: [{ type: "string" }, { type: "integer" }] }, "64MiB", "64MiB"],
  ["digits of a text stay a text", { type: "string" }, "10001234", "10001234"],
  ["a wrong number is passed on for the server's fault", { type: "integer" }, "many", "many"],
])("%s", (_, schema, text, value) => {
  expect(valueOfText(schema, text)).toBe(value);
  expect(textOf(value) ?? "").toBe(text);
});

test.each<[string, SettingSchema, string, unknown]>([
  ["one item a line", { items: { type: "string" } }, " a \n\nb", ["a", "b"]],
  ["numbers", { items: { type: "integer" } }, "404\n410", [404, 410]],
  ["no line removes the setting", { items: { type: "string" } }, " \n", undefined],
  ["an empty list", { items: { type: "string" } }, "[]", []],
  ["a list with an empty text", { items: { type: "string" } }, '""\nx', ["", "x"]],
  ["a word in place of a list", { anyOf: [{ const: "all" }, { type: "array", items: {} }] }, "all", "all"],
  ["a list of one", { anyOf: [{ const: "all" }, { type: "array", items: {} }] }, "x", ["x"]],
])("a typed list: %s", (_, schema, text, value) => expect(valueOfLines(schema, text)).toEqual(value));

test.each([[[]], [["", "x"]], [["a", "b"]], [[404, 410]]])("the list %j is shown as the text that gives it", (list) => {
  const items = { type: typeof list[0] === "number" ? "integer" : "string" };
  expect(valueOfLines({ items }, textOf(list) ?? "")).toEqual(list);
});

test("the values of a choice", () => {
  expect([choicesOf({ type: "boolean" }), choicesOf({ const: "s3" }), choicesOf({})]).toEqual([
    [true, false],
    ["s3"],
    [],
  ]);
});
