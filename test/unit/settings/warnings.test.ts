import { expect, test } from "vitest";
import { settingsWarnings } from "../../../src/settings/load.ts";
import { MINIMAL, parse, withBucket } from "./parse.ts";

test.each([
  ["nothing of the admin port", "", 0],
  ["a token", "{ adminToken: secret-of-the-admin-port }", 0],
  ["names and a token", "{ adminHosts: [a.example], adminToken: secret-of-the-admin-port }", 0],
  ["names without a token", "{ adminHosts: [a.example] }", 1],
])("settingsWarnings() for %s", (_what, server, count) => {
  expect(settingsWarnings(parse(`${server && `server: ${server}\n`}${MINIMAL}`))).toHaveLength(count);
});

test.each([
  ["no rate", "{}", "[]", 0],
  ["a rate of requests", "{ requestsPerSecond: 9 }", "[]", 1],
  ["a rate of renders", "{ rendersPerSecond: 0.5 }", "[]", 1],
  ["a rate and trusted proxies", "{ rendersPerSecond: 9 }", "[10.0.0.0/8]", 0],
])("settingsWarnings() for %s", (_what, perClient, proxies, count) => {
  const text = `server: { trustedProxies: ${proxies} }\nlimits: { perClient: ${perClient} }\n${MINIMAL}`;
  const warnings = settingsWarnings(parse(text));
  expect(warnings).toEqual(Array(count).fill(expect.stringContaining("server.trustedProxies is empty")));
});

test.each([
  ["instructions", "", 0],
  ["aliases only", "processing: aliases", 1],
  ["aliases only, and one", "processing: aliases, aliases: { a: imageView2/1/w/9 }", 0],
  ["aliases only, and a style", "processing: aliases, styles: { a: imageView2/1/w/9 }", 0],
])("settingsWarnings() for a bucket with %s", (_what, keys, count) => {
  const found = Array(count).fill(expect.stringMatching(/^bucket photos .* only originals can be served$/));
  expect(settingsWarnings(parse(withBucket(keys)))).toEqual(found);
});

const EXAMPLE = "is the example's value: run `huiyuan keys new`";

test.each([
  ["values of its own", "AKIDme", "0123456789", []],
  ["the SecretID of the documentation", "AKIDEXAMPLE", "0123456789", [`secretId ${EXAMPLE}`]],
  ["the SecretKey of the README", "AKIDme", "paste-the-SecretKey-here", [`secretKey ${EXAMPLE}`]],
  ["a variable of a shell", "AKIDme", "$SECRET_KEY", ["secretKey begins with $: write env:NAME for a variable"]],
])("settingsWarnings() for a key pair with %s", (_what, secretId, secretKey, found) => {
  const text = JSON.stringify({ projects: [{ appid: "10001234", keys: [{ secretId, secretKey }], buckets: [] }] });
  expect(settingsWarnings(parse(text))).toEqual(found.map((each) => `project 10001234: keys[0].${each}`));
});
