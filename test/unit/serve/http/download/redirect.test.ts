import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { isForClients, locationOf } from "../../../../../src/serve/http/download/redirect.ts";

test.each([
  ["a.jpg", "", "https://h/base/a.jpg"],
  ["图/a b?c#d%.jpg", "v=1", "https://h/base/%E5%9B%BE/a%20b%3Fc%23d%25.jpg?v=1"],
  ["/a\r\nX: y", "", "https://h/base//a%0D%0AX:%20y"],
] as const)("locationOf() of path %j and query %j is %s", (path, query, location) => {
  expect(locationOf("https://h/base", { path: toKey(path), query })).toBe(location);
});

test.each([
  ["https://www.example.com/a.jpg", true],
  ["http://93.184.216.34/", true],
  ["http://[2606:2800:220:1::1]/", true],
  ["http://10.0.0.1/secret", false],
  ["http://127.1/", false],
  ["http://2130706433/", false],
  ["http://[::1]/", false],
  ["http://[::ffff:10.0.0.1]/", false],
  ["http://169.254.169.254/latest", false],
  ["http://localhost:9000/", false],
  ["http://a.localhost./", false],
  ["not a URL", false],
])("isForClients(%s) is %s", (location, isShown) => {
  expect(isForClients(location)).toBe(isShown);
});
