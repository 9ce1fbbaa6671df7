import { expect, test } from "vitest";
import { isPrivateOrigin } from "../../../../src/operate/doctor/find-pictures.ts";

test.each([
  ["http://127.0.0.1:9000", true],
  ["http://localhost:9000/base", true],
  ["http://[::1]:9000", true],
  ["http://192.168.1.2", true],
  ["http://100.64.0.1", true],
  ["http://[fd00::1]", true],
  ["https://8.8.8.8", false],
  ["http://169.254.169.254", false],
])("isPrivateOrigin(%s) is %s", async (url, expected) => {
  expect(await isPrivateOrigin(url)).toBe(expected);
});
