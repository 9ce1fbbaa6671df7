// The source URLList in front of a real nginx with broken answers, over files and standard input, and its guard.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Source } from "../../../../../src/operate/migrations/source.ts";
import { createUrlListSource } from "../../../../../src/operate/migrations/sources/url-list.ts";
import type { HttpOriginOptions } from "../../../../../src/serve/origin/kinds/http-origin.ts";
import { INSIDE_HOSTS } from "../../../../helpers/inside-hosts.ts";
import {
  contentOf,
  failuresOf,
  fetchObject,
  NEVER,
  objectsOf,
  pagesOf,
  SOURCE_HTTP,
} from "../../../../helpers/migration-sources.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { type Nginx, needs, serviceAvailable, startNginx } from "../../../../helpers/services.ts";
import { codeOf } from "../../../../helpers/site-under-test.ts";

let folder: string;
let sources: Source[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "huiyuan-urls-"));
});
afterEach(async () => {
  for (const source of sources) await source.close();
  sources = [];
  rmSync(folder, { recursive: true });
});

type Options = Partial<Parameters<typeof createUrlListSource>[0]>;

/** Over a file with this text. */
function sourceOf(text: string | Buffer, options: Options = {}, http: Partial<HttpOriginOptions> = {}): Source {
  const file = join(folder, "list.txt");
  writeFileSync(file, text);
  const source = createUrlListSource(
    { file, encoded: "auto", folders: undefined, ...options },
    { ...SOURCE_HTTP, ...http },
  );
  sources.push(source);
  return source;
}

const namesOf = async (source: Source, after?: string) => (await objectsOf(source, after)).map(({ fileid }) => fileid);

describe("with a real nginx", needs("nginx"), () => {
  let root: string;
  let nginx: Nginx;
  beforeAll(async () => {
    if (!serviceAvailable("nginx")) return;
    root = mkdtempSync(join(tmpdir(), "huiyuan-root-"));
    mkdirSync(join(root, "图 片"));
    writeFileSync(join(root, "图 片/a%20+b.jpg"), "picture");
    writeFileSync(join(root, "plain.jpg"), "plain");
    writeFileSync(join(root, "page.html"), "<html>");
    const conf = `
      location = /500.jpg { return 500; }
      location = /moved.jpg { return 302 /plain.jpg; }
      location = /away.jpg { return 302 http://127.0.0.2:8080/x.jpg; }`;
    nginx = await startNginx({ root, conf });
  });
  afterAll(async () => {
    await nginx?.remove();
    if (root !== undefined) rmSync(root, { recursive: true });
  });

  test("fetches each URL as written, whatever its encoding", async () => {
    const encoded = `${nginx.url}/%E5%9B%BE%20%E7%89%87/a%2520+b.jpg`;
    const raw = `${nginx.url}/图 片/a%20+b.jpg`;
    const expected = new Map([["图 片/a%20+b.jpg", "picture"]]);
    expect(await contentOf(sourceOf(encoded))).toEqual(expected);
    expect(await contentOf(sourceOf(raw))).toEqual(expected);
    expect(await contentOf(sourceOf(raw, { encoded: "raw" }))).toEqual(expected);
    expect(await contentOf(sourceOf(encoded, { encoded: "encoded" }))).toEqual(expected);
  });

  test("a broken answer is an error with its status, an absent object is undefined", async () => {
    const names = ["missing.jpg", "500.jpg", "moved.jpg", "away.jpg", "plain.jpg?v=1"];
    const source = sourceOf(names.map((name) => `${nginx.url}/${name}\n`).join(""));
    const [missing, failing, moved, away, plain] = await objectsOf(source);
    const request = { maxBytes: 100, signal: NEVER };
    expect(await source.fetch({ ...request, object: missing! })).toBeUndefined();
    const failed = source.fetch({ ...request, object: failing! });
    await expect(failed).rejects.toMatchObject({ code: "origin_status", originStatus: 500 });
    expect((await fetchObject(source, moved!)).bytes.toString()).toBe("plain");
    expect(await codeOf(source.fetch({ ...request, object: away! }))).toBe("origin_blocked");
    expect((await fetchObject(source, plain!)).bytes.toString()).toBe("plain");
  });

  test("confirms what the target has by its validators", async () => {
    const source = sourceOf(`${nginx.url}/plain.jpg`);
    const [object] = await objectsOf(source);
    const answer = await source.fetch({ object: object!, maxBytes: 100, signal: NEVER });
    if (answer === undefined || answer.isNotModified) throw new Error("no answer");
    answer.body.destroy();
    const { etag, lastModified } = answer;
    const unless = { etag, lastModified };
    expect(await source.fetch({ object: object!, unless, maxBytes: 100, signal: NEVER })).toMatchObject({
      isNotModified: true,
    });
  });
});

describe("with a scripted server", () => {
  let server: ScriptedOrigin | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  test("a truncated body and a server that hangs are errors within the deadlines", async () => {
    const length = head("200 OK", [["Content-Length", "10"]]);
    server = await startScriptedOrigin({
      "/a.jpg": { inTurn: [[length, "abcde", "FIN"], ["HANG"], [length, "abcde", "HANG"]] },
    });
    const timeouts = { ...SOURCE_HTTP.timeouts, firstByte: 300, idle: 300 };
    const source = sourceOf(`${server.url}/a.jpg`, {}, { timeouts });
    const [object] = await objectsOf(source);
    expect((await fetchObject(source, object!)).error).toMatchObject({ code: "origin_truncated" });
    expect(await codeOf(fetchObject(source, object!))).toBe("origin_timeout");
    expect((await fetchObject(source, object!)).error).toMatchObject({ code: "origin_timeout" });
  });

  test("a redirect to a private address of another server is blocked, also with allowPrivate", async () => {
    server = await startScriptedOrigin({
      "/a.jpg": [response("", { status: "302 Found", headers: { Location: "http://127.0.0.1:12345/x.jpg" } })],
    });
    const source = sourceOf(`${server.url}/a.jpg`);
    const [object] = await objectsOf(source);
    expect(await codeOf(fetchObject(source, object!))).toBe("origin_blocked");
  });
});

test.each(INSIDE_HOSTS)("without allowPrivate nothing is fetched from %s", async (host) => {
  const source = sourceOf(`http://${host}:18080/a.jpg`, {}, { allowPrivate: false });
  const [object] = await objectsOf(source);
  // Some resolvers do not know `localhost.`.
  expect(await codeOf(fetchObject(source, object!))).toMatch(/^origin_(?:blocked|name_unknown)$/);
});

test("lists trimmed lines, skips blank ones and a BOM, and names what cannot be listed", async () => {
  const lines = [
    `\uFEFF http://h/a.jpg \r`,
    "",
    " \t\r",
    "ftp://h/b.jpg",
    `http://h/${"x".repeat(9_000)}.jpg`,
    "http://user:secret@h/c.jpg",
  ];
  const text = Buffer.concat([Buffer.from(`${lines.join("\n")}\nhttp://h/`), Buffer.from([0xc3, 0x28])]);
  expect(await namesOf(sourceOf(text))).toEqual(["a.jpg"]);
  expect(await failuresOf(sourceOf(text))).toEqual([
    { shown: "ftp://h/b.jpg", reason: "URLs with ftp: are not supported, only http:, https: and file:" },
    { shown: `http://h/${"x".repeat(191)}`, reason: "The line has more than 8192 bytes" },
    { shown: "http://***@h/c.jpg", reason: "It has a user name, which would be stored in the journal" },
    { shown: "http://h/\\xc3(", reason: "The line is not UTF-8" },
  ]);
});

test("continues behind the cursor of any page, and refuses a list that has changed", async () => {
  const lines = Array.from({ length: 5_000 }, (_, index) => `http://h/图/${index}.jpg`);
  const source = sourceOf(lines.join("\n"));
  const pages = await pagesOf(source);
  expect(pages.length).toBeGreaterThan(4);
  let before = 0;
  for (const { objects, cursor } of pages) {
    before += objects.length;
    expect(await namesOf(source, cursor)).toEqual(lines.slice(before).map((line) => line.slice("http://h/".length)));
  }
  const middle = pages[1]?.cursor;
  truncateSync(join(folder, "list.txt"), 1_000);
  await expect(objectsOf(source, middle)).rejects.toMatchObject({ code: "request_invalid" });
  writeFileSync(join(folder, "list.txt"), "x".repeat(100_000));
  await expect(objectsOf(source, middle)).rejects.toThrow(/has changed since/);
});

test("a line of any length in chunks of any size is read once", async () => {
  const text = `${"y".repeat(20_000)}\nhttp://h/a.jpg\nhttp://h/b.jpg`;
  for (const size of [1, 7, 8_193]) {
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
      Buffer.from(text.slice(at * size, (at + 1) * size)),
    );
    const source = sourceOf("", { file: "-", stdin: Readable.from(chunks) });
    const pages = await pagesOf(source);
    expect(pages.flatMap(({ objects }) => objects.map(({ fileid }) => fileid))).toEqual(["a.jpg", "b.jpg"]);
    expect(pages.flatMap(({ failures }) => failures).length).toBe(1);
    expect(source.isResumable).toBe(false);
  }
});

test("standard input without a line is refused, because an interrupted scan would seem complete", async () => {
  const empty = sourceOf("", { file: "-", stdin: Readable.from([]) });
  await expect(objectsOf(empty)).rejects.toMatchObject({ code: "request_invalid" });
  expect(await objectsOf(sourceOf(""))).toEqual([]);
});

test("standard input is listed as it arrives, and an abort ends the wait for more", async () => {
  const stdin = new PassThrough();
  const controller = new AbortController();
  const listing = sourceOf("", { file: "-", stdin }).list(undefined, controller.signal)[Symbol.asyncIterator]();
  stdin.write("http://h/a.jpg\n");
  expect((await listing.next()).value).toMatchObject({ objects: [{ fileid: "a.jpg" }], cursor: undefined });
  const next = listing.next();
  controller.abort(new Error("enough"));
  await expect(next).rejects.toThrow("enough");
});

test("file: URLs are read like local files; within folders none is read, and no list that leads out", async () => {
  writeFileSync(join(folder, "a b.jpg"), "local");
  const text = `file://${folder}/a%20b.jpg\nfile://${folder}/none.jpg`;
  const source = sourceOf(text);
  const [object, missing] = await objectsOf(source);
  expect(object?.fileid).toBe(`${folder.slice(1)}/a b.jpg`);
  expect((await fetchObject(source, object!)).bytes.toString()).toBe("local");
  expect(await source.fetch({ object: missing!, maxBytes: 10, signal: NEVER })).toBeUndefined();
  const strict = sourceOf(text, { folders: [folder] });
  expect(await namesOf(strict)).toEqual([]);
  expect(await codeOf(fetchObject(strict, object!))).toBe("url_invalid");
  mkdirSync(join(folder, "inner"));
  symlinkSync(join(folder, "list.txt"), join(folder, "inner/list.txt"));
  const file = join(folder, "inner/list.txt");
  expect(await namesOf(sourceOf("http://h/a.jpg", { file, folders: [folder] }))).toEqual(["a.jpg"]);
  const outside = sourceOf("http://h/a.jpg", { file, folders: [join(folder, "inner")] });
  expect(await codeOf(namesOf(outside))).toBe("request_invalid");
});
