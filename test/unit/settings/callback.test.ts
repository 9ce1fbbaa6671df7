import { inspect } from "node:util";
import { expect, test } from "vitest";
import { faultsOf, parse, withBucket } from "./parse.ts";

const PATH = "projects[0].buckets[0].callback";
const callback = (keys: string) => withBucket(`callback: { secret: s, ${keys} }`);

test("a callback has defaults, and its URL may have a query", () => {
  const { projects } = parse(withBucket('callback: { url: "https://app.example.com/up?to=images", secret: env:S }'), {
    env: { S: "of the callback" },
  });
  expect(projects[0]?.buckets[0]?.callback).toEqual({
    url: "https://app.example.com/up?to=images",
    secret: "of the callback",
    timeout: 3_000,
    onFailure: "report",
    allowPrivate: false,
  });
  expect(JSON.stringify(projects) + inspect(projects, { depth: 9 })).not.toContain("of the callback");
});

test("parseSettings() refuses a callback without URL or secret", () => {
  expect(faultsOf(withBucket("callback: {}")).map(({ path }) => path)).toEqual([`${PATH}.url`, `${PATH}.secret`]);
});

test.each([
  ["ftp://app.example.com/"],
  ["app.example.com/uploaded"],
  ["https://user:hunter2@app.example.com/"],
  ["https://app.example.com/#part"],
  ["https://app.example.com/?a=1#part"],
  ["https://app.example.com/?a b"],
  ["http://app.example.com\\\\@10.0.0.1/"],
  ["http://app.example.com:6379/"],
  ["http://127.0.0.1:9000/uploaded"],
  ["http://2130706433/?q"],
  ["http://[::ffff:10.0.0.1]/"],
  ["http://localhost/uploaded?q=1"],
  ["http://169.254.169.254/latest/"],
])("parseSettings() refuses a callback to %s", (url) => {
  const faults = faultsOf(callback(`url: "${url}"`));
  expect(faults.map(({ path }) => path)).toEqual([`${PATH}.url`]);
  expect(faults[0]?.message).not.toContain("hunter2");
});

test.each(["http://127.0.0.1:9000/uploaded?a=1", "http://app.intranet:8080"])(
  "allowPrivate accepts a callback to %s",
  (url) => {
    expect(faultsOf(callback(`url: "${url}", allowPrivate: true`))).toEqual([]);
  },
);

test.each([
  ["timeout: 0s", "timeout"],
  ["timeout: 11s", "timeout"],
  ["onFailure: ignore", "onFailure"],
  ["retries: 3", "retries"],
])("%s is refused", (keys, key) => {
  const faults = faultsOf(callback(`url: "https://app.example.com", ${keys}`));
  expect(faults.map(({ path }) => path)).toEqual([`${PATH}.${key}`]);
});
