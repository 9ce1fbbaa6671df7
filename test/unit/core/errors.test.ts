import { expect, test } from "vitest";
import { asHuiyuanError, ERROR_CODES, errorRow, HuiyuanError } from "../../../src/core/errors.ts";

test("errorRow() gives every code an HTTP error status, a negative X-ErrNo and a text", () => {
  for (const code of ERROR_CODES) {
    const row = errorRow(code);
    // A redirect that is passed to the client is the one row that is not a failure.
    expect(row.status, code).toBeGreaterThanOrEqual(code === "origin_moved" ? 302 : 400);
    expect(row.errNo, code).toBeLessThan(0);
    expect(row.text, code).not.toBe("");
  }
});

test("asHuiyuanError() returns a HuiyuanError unchanged and wraps any other error as internal with its cause", () => {
  const named = new HuiyuanError("not_found", "x");
  expect(asHuiyuanError(named)).toBe(named);
  const foreign = new TypeError("boom");
  const wrapped = asHuiyuanError(foreign);
  expect([wrapped.code, wrapped.cause]).toEqual(["internal", foreign]);
});
