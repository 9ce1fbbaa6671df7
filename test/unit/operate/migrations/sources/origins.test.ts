// The origins of a domain as the source of a migration: rules, headers, failover and budgets are those of the mirror.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { ConfigFaults } from "../../../../../src/operate/migrations/config/config.ts";
import type { Source } from "../../../../../src/operate/migrations/source.ts";
import { type OriginListing, openSource } from "../../../../../src/operate/migrations/wiring/sources.ts";
import { parseSettings } from "../../../../../src/settings/load.ts";
import { contentOf, failuresOf, fetchObject, objectsOf } from "../../../../helpers/migration-sources.ts";
import {
  response,
  type ScriptedOrigin,
  type ScriptTable,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { APPID, KEYS } from "../../../../helpers/settings.ts";
import { codeOf } from "../../../../helpers/site-under-test.ts";

const HOST = "img.example.com";
const PARTS = { allowPrivate: false, folders: undefined, concurrency: 4, timeoutMs: 3_000, log: SILENT_LOG };

let dir: string;
const servers: ScriptedOrigin[] = [];
const sources: Source[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-origins-"));
});
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  for (const server of servers.splice(0)) await server.close();
  rmSync(dir, { recursive: true });
});

async function serve(scripts: ScriptTable): Promise<ScriptedOrigin> {
  const server = await startScriptedOrigin(scripts);
  servers.push(server);
  return server;
}

function settingsOf(mirror: object) {
  const domains = [{ host: HOST, mirror }, { host: "plain.example.com" }];
  const projects = [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains }] }];
  const readFile = () => "";
  return parseSettings(JSON.stringify({ projects }), { env: {}, readFile, file: join(dir, "huiyuan.yaml") });
}

function listOf(...lines: readonly string[]): string {
  const file = join(dir, "list.txt");
  writeFileSync(file, lines.join("\n"));
  return file;
}

const NO_LISTING = { type: "origins", host: HOST, list: undefined, sitemap: undefined } as const;
type Listed = Partial<OriginListing>;

function open(mirror: object, listed: Listed = {}): Source {
  const source = openSource({ ...NO_LISTING, ...listed }, PARTS, settingsOf(mirror));
  sources.push(source);
  return source;
}

const site = ({ url }: ScriptedOrigin, more: object = {}) => ({ type: "site", url, allowPrivate: true, ...more });

test("objects of a list are fetched as the mirror would, by keys, URLs of the domain and URLs of the origin", async () => {
  const server = await serve({
    "/base/a.jpg": [response("a")],
    "/base/b%20c.jpg": [response("b c")],
    "/base/d.jpg": [response("d")],
  });
  const origin = site(
    { ...server, url: `${server.url}/base` },
    { host: "www.example.com", referer: "http://r.example/" },
  );
  const list = listOf("a.jpg", `https://${HOST}/b%20c.jpg`, "http://www.example.com/base/d.jpg", "http://other/e.jpg");
  const source = open({ origins: [origin] }, { list });
  expect(await contentOf(source)).toEqual(new Map(Object.entries({ "a.jpg": "a", "b c.jpg": "b c", "d.jpg": "d" })));
  expect((await failuresOf(source)).map(({ shown }) => shown)).toEqual(["http://other/e.jpg"]);
  const [first] = server.requests;
  expect(first?.headers).toMatchObject({ host: "www.example.com", referer: "http://r.example/" });
});

test("a rule of the domain rewrites the request, and one that does not mirror refuses it", async () => {
  const server = await serve({ "/up/a.jpg.orig?v=2": [response("a")] });
  const rules = [
    { match: { prefix: "no/" }, action: "none" },
    { match: { suffix: ".jpg" }, path: { add: "up/", addSuffix: ".orig" }, setQuery: { v: "2" } },
  ];
  const source = open(
    { origins: [site(server)], rules },
    { list: listOf("a.jpg", "no/b.jpg", `${server.url}/up/c.jpg`) },
  );
  const [a, b] = await objectsOf(source);
  expect((await fetchObject(source, a!)).bytes.toString()).toBe("a");
  expect(await codeOf(fetchObject(source, b!))).toBe("request_invalid");
  // A URL of the origin does not tell the key.
  expect((await failuresOf(source)).length).toBe(1);
});

test("another origin serves what the first one cannot", async () => {
  const broken = await serve({ "/a.jpg": [response("", { status: "500 Oops" })] });
  const good = await serve({ "/a.jpg": [response("a")] });
  const source = open({ origins: [site(broken), site(good)] }, { list: listOf("a.jpg") });
  expect(await contentOf(source)).toEqual(new Map([["a.jpg", "a"]]));
  expect([broken, good].map(({ requests }) => requests.length)).toEqual([1, 1]);
});

test("a sitemap names keys by the site's own host, with the base path of the origin", async () => {
  const server = await serve({
    "/sitemap.xml": [response("<urlset><url><loc>http://127.0.0.1/img/x.jpg</loc></url></urlset>")],
    "/img/x.jpg": [response("x")],
  });
  const mirror = { origins: [site({ ...server, url: `${server.url}/img` }, { host: "127.0.0.1" })] };
  const settings = settingsOf(mirror);
  const listed = { ...NO_LISTING, sitemap: `${server.url}/sitemap.xml` };
  const refused = openSource(listed, PARTS, settings);
  sources.push(refused);
  expect(await codeOf(objectsOf(refused))).toBe("origin_blocked");
  const source = openSource(listed, { ...PARTS, allowPrivate: true }, settings);
  sources.push(source);
  expect(await contentOf(source)).toEqual(new Map([["x.jpg", "x"]]));
});

test("an S3 origin lists itself, below its prefix", async () => {
  const page = `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a.jpg</Key><Size>1</Size>
    <ETag>&quot;e1&quot;</ETag></Contents><Contents><Key>p/f/</Key></Contents></ListBucketResult>`;
  const server = await serve({
    "/bb?list-type=2&encoding-type=url&prefix=p%2F": [response(page)],
    "/bb/p/a.jpg": [response("a")],
  });
  const source = open({
    origins: [{ type: "s3", endpoint: server.url, bucket: "bb", prefix: "p/", allowPrivate: true }],
  });
  expect(await objectsOf(source)).toEqual([{ fileid: "a.jpg", locator: "a.jpg", size: 1, version: "e1" }]);
  expect(await contentOf(source)).toEqual(new Map([["a.jpg", "a"]]));
});

describe("a fault names what to do", () => {
  const faultOf = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      if (error instanceof ConfigFaults) return error.message;
      throw error;
    }
    return "";
  };

  test.each([
    ["an unknown domain", { host: "none.example.com" }, /none\.example\.com has no origins.*: img\.example\.com/],
    ["a domain without origins", { host: "plain.example.com" }, /has no origins/],
    ["a web site without a list", {}, /cannot be listed: give a list .*--list FILE.*--sitemap URL/],
    ["a sitemap that is no URL", { sitemap: "sitemap.xml" }, /no URL/],
  ])("%s", (_name, listed, message) => {
    expect(faultOf(() => open({ origins: [{ type: "site", url: "http://o.example" }] }, listed))).toMatch(message);
  });

  test("a Qiniu key that no token can have", () => {
    const place = { bucket: "b", domain: "http://d.example", endpoint: undefined, startOffset: 0, total: 1 };
    const keys = { accessKey: "a b", secretKey: "s", isPrivate: true, referer: undefined };
    const open = () => openSource({ type: "qiniu", ...place, ...keys }, PARTS, undefined);
    expect(faultOf(open)).toMatch(/accessKey has other characters/);
  });
});
