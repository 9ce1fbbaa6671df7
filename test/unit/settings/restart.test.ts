import { expect, test } from "vitest";
import { settingsNeedingRestart } from "../../../src/settings/load.ts";
import { MINIMAL, parse, withBucket, withMirror } from "./parse.ts";

test("settingsNeedingRestart() names exactly the settings that a running server cannot apply", () => {
  const next = parse(
    `server: { host: 127.0.0.1, port: 1, adminHost: localhost, adminPort: 2, accessLog: all, healthPath: /up, drainDelay: 5s, adminHosts: [a.example] }\ndata: ./other\n${MINIMAL}`,
  );
  expect(settingsNeedingRestart(parse(MINIMAL), next)).toEqual([
    "server.host",
    "server.port",
    "server.adminHost",
    "server.adminPort",
    "data",
  ]);
});

test("settingsNeedingRestart() is empty for equal settings, for new buckets and for another public address", () => {
  expect(settingsNeedingRestart(parse(MINIMAL), parse(MINIMAL))).toEqual([]);
  expect(settingsNeedingRestart(parse(MINIMAL), parse(withMirror("")))).toEqual([]);
  const server = "server: { publicScheme: https, publicPort: 8443 }";
  const moved = parse(`${server}\n${withBucket("publicDomain: photos-10001234.localhost")}`);
  expect(settingsNeedingRestart(parse(MINIMAL), moved)).toEqual([]);
});
