// Tests of the ports that are never dialled.
import { expect, test } from "vitest";
import { isForbiddenPort } from "../../../src/core/addresses.ts";

test("isForbiddenPort() is true for services that are not web servers", () => {
  for (const port of [0, 22, 25, 53, 6379, 11211, 27017]) expect(isForbiddenPort(port), `${port}`).toBe(true);
  for (const port of [80, 81, 443, 3000, 8080, 8443, 9000]) expect(isForbiddenPort(port), `${port}`).toBe(false);
});
