import { expect, test } from "vitest";
import { settingsNeedingRestart } from "../../../src/settings/restart.ts";
import { MINIMAL, parse, withMirror } from "./parse.ts";

test("settingsNeedingRestart() names what a running server keeps, and nothing else", () => {
  const next = parse(
    `server: { host: 127.0.0.1, port: 1, adminHost: localhost, adminPort: 2, accessLog: all }\ndata: ./other\n${MINIMAL}`,
  );
  expect(settingsNeedingRestart(parse(MINIMAL), next)).toEqual([
    "server.host",
    "server.port",
    "server.adminHost",
    "server.adminPort",
    "data",
  ]);
});

test("settingsNeedingRestart() is empty for equal settings and for new buckets", () => {
  expect(settingsNeedingRestart(parse(MINIMAL), parse(MINIMAL))).toEqual([]);
  expect(settingsNeedingRestart(parse(MINIMAL), parse(withMirror("")))).toEqual([]);
});
