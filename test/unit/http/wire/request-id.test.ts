import { expect, test } from "vitest";
import { createRequestIds } from "../../../../src/http/wire/request-id.ts";

test("createRequestIds() makes ids that never repeat, within one source and between two", () => {
  const [one, other] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 1_000 }, () => [one(), other()]).flat();
  expect(new Set(ids).size).toBe(2_000);
});

test("createRequestIds() makes ids that need no escaping in a header, a JSON text or a log line", () => {
  const next = createRequestIds();
  for (let count = 0; count < 100; count += 1) expect(next()).toMatch(/^[0-9a-z]+-[0-9a-z]+$/);
});
