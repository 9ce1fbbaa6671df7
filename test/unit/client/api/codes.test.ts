import { expect, test } from "vitest";
import { codeMeaning } from "../../../../src/client/api/client-error.ts";
import { ERROR_CODES, errorRow, restError } from "../../../../src/core/errors.ts";

test("codeMeaning() knows every code that the REST API sends", () => {
  const sent = [...new Set(ERROR_CODES.filter((code) => "rest" in errorRow(code)).map((code) => restError(code).code))];
  expect(sent.length).toBeGreaterThan(30);
  expect(sent.filter((code) => codeMeaning(code).name === "service_refused")).toEqual([]);
});

test("codeMeaning() returns service_refused for an unknown code", () => {
  expect(codeMeaning(-123456)).toEqual({ name: "service_refused", meaning: "the service refused with code -123456" });
});
