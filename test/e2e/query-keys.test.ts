// Buckets in which one rule or domain makes queries a part of keys and another drops them. A `?` in the path is never
// taken for the start of a query, whichever rule stored the object.
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

let image: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  image = await noisyJpeg(60, 40);
  // The bytes behind the image's end name the request target.
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    if (target === "/none.png") return connection.send(response("", { status: "404 Not Found" }));
    await connection.send(response(Buffer.concat([image, Buffer.from(target)])));
  });
  const mirror = (more: object = {}) => mirrorOf(origin.url, more);
  const rules = [
    { match: { suffix: ".gif" }, type: "everything" },
    { match: { prefix: "v/" }, keyQuery: ["v"] },
    { match: { prefix: "none" }, type: "everything", fallbackKey: "instead.gif?v=2" },
  ];
  const buckets = [
    { name: "rules", domains: [{ host: "rules.example", mirror: mirror({ rules }) }] },
    {
      name: "domains",
      domains: [
        { host: "every.example", mirror: mirror({ type: "everything" }) },
        { host: "originals.example", mirror: mirror() },
        { host: "uploads.example" },
      ],
    },
    { name: "plain", domains: [{ host: "plain.example", mirror: mirror() }] },
  ];
  installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const ask = (host: string, path: string) => get({ port: program.downloadPort, host: `${host}.example`, path });
/** The request target whose image is served, on the miss and once it is stored. */
async function shown(host: string, path: string): Promise<readonly string[]> {
  const targets: string[] = [];
  const look = async () => {
    const { body, headers } = await ask(host, path);
    targets.push(body.subarray(image.length).toString());
    return String(headers["cache-status"]);
  };
  await look();
  await eventually(async () => /hit; detail=(memory|bucket)/.test(await look()), `${path} is stored`);
  return [...new Set(targets)];
}

test.each([
  ["rules", "/a.gif?b", "/a.gif%3Fb"],
  ["rules", "/b.gif%3Fb", "/b.gif?b"],
  ["rules", "/v/c?v=1", "/v/c%3Fv=1"],
  ["rules", "/v/d%3Fv=1", "/v/d?v=1"],
  ["rules", "/e.gif%253Fb", "/e.gif%3Fb"],
])("%s: %s and then %s serve the origin's image of each URL", async (host, ...paths) => {
  for (const path of paths) expect(await shown(host, path)).toEqual([path]);
});

test.each([
  ["a query first", "every", "/a?b", "originals", "/a%3Fb"],
  ["a ? of the path first", "originals", "/b%3Fb", "every", "/b?b"],
])("two domains, %s", async (_, first, path, second, other) => {
  expect(await shown(first, path)).toEqual([path]);
  expect(await shown(second, other)).toEqual([other]);
});

test("two domains share an object if a path means the same key to both", async () => {
  expect(await shown("every", "/c%3Fb")).toEqual(["/c%3Fb"]);
  const before = origin.requests.length;
  expect(await shown("originals", "/c%3Fb?x=1")).toEqual(["/c%3Fb"]);
  expect(origin.requests).toHaveLength(before);
});

test("a stat fetches the URL that the key stands for", async () => {
  const stat = (fileid: string) =>
    callApi({
      port: program.downloadPort,
      target: `/photos/v2/${APPID}/rules/0/${encodeURIComponent(fileid)}`,
    });
  expect((await stat("s.png%3Fb")).code).toBe(0);
  expect(await shown("rules", "/s.png%3Fb")).toEqual(["/s.png%3Fb"]);
  expect((await stat("s.gif?b")).code).toBe(0);
  expect(await shown("rules", "/s.gif?b")).toEqual(["/s.gif?b"]);
  // No URL maps to this key.
  expect((await stat("t.png?b")).code).toBe(-197);
  expect(origin.requests.filter(({ target }) => target.startsWith("/t."))).toEqual([]);
});

test("a fallback serves the object of its key", async () => {
  const missing = await ask("rules", "/none.png");
  expect([missing.status, missing.body.subarray(image.length).toString()]).toEqual([404, "/instead.gif?v=2"]);
  expect(await shown("rules", "/instead.gif?v=2")).toEqual(["/instead.gif?v=2"]);
  expect(origin.requests.filter(({ target }) => target.startsWith("/instead"))).toHaveLength(1);
});

test("an upload with a ? in its name is served by a domain without a mirror, and by one whose rules drop queries", async () => {
  for (const [bucket, host] of [
    ["domains", "uploads"],
    ["plain", "plain"],
  ] as const) {
    const { code } = await callApi({
      port: program.downloadPort,
      target: `/photos/v2/${APPID}/${bucket}/0/${encodeURIComponent("up?load.jpg")}`,
      form: fileForm(image),
      sign: uploadToken("up?load.jpg", bucket),
    });
    expect(code).toBe(0);
    expect((await ask(host, "/up%3Fload.jpg")).body.equals(image)).toBe(true);
  }
});
