import { expect, test } from "vitest";
import { settingsWarnings } from "../../../src/settings/load.ts";
import { MINIMAL, parse } from "./parse.ts";

test.each([
  ["nothing of the admin port", "", 0],
  ["a token", "{ adminToken: secret-of-the-admin-port }", 0],
  ["names and a token", "{ adminHosts: [a.example], adminToken: secret-of-the-admin-port }", 0],
  ["names without a token", "{ adminHosts: [a.example] }", 1],
])("settingsWarnings() for %s", (_what, server, count) => {
  expect(settingsWarnings(parse(`${server && `server: ${server}\n`}${MINIMAL}`))).toHaveLength(count);
});
