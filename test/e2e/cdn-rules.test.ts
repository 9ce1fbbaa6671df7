// Proves the rules of docs/production/cdn.md with a real nginx as the CDN: which settings of a cache serve the right
// image, and what the wrong ones do. caches-in-front.test.ts covers lifetimes and Referer lists.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeToken } from "../../src/serve/sign/token.ts";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const PRIVATE = "private.example";
const SHARED = "shared.example";
const SHORT = "short.example";
const OPEN = "open.example";

/** Each location is a CDN with other settings. */
const LOCATIONS = (port: number) => `
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_cache images;
  proxy_cache_key $host$request_uri;
  proxy_cache_valid any 10m;
  proxy_cache_bypass $http_x_refresh;
  add_header X-Cache $upstream_cache_status always;
  location / { proxy_pass http://127.0.0.1:${port}; }
  location /without-query/ { proxy_cache_key $host$uri; proxy_pass http://127.0.0.1:${port}; }
  location /without-vary/ { proxy_ignore_headers Vary; proxy_pass http://127.0.0.1:${port}; }
  location /by-format/ {
    proxy_ignore_headers Vary;
    proxy_cache_key $host$request_uri$format;
    proxy_pass http://127.0.0.1:${port};
  }
  location /slices/ {
    slice 8k;
    proxy_set_header Range $slice_range;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_cache_key $host$request_uri$slice_range;
    proxy_pass http://127.0.0.1:${port};
  }`;
const HTTP = `
  proxy_cache_path cache keys_zone=images:1m;
  map $http_accept $format { default plain; ~image/avif avif; ~image/webp webp; }`;

const AVIF = { accept: "image/avif,image/webp,*/*;q=0.8" };
const WEBP = { accept: "image/webp,*/*;q=0.8" };
const OLD = { accept: "image/png,image/*;q=0.8,*/*;q=0.5" };

describe("a CDN in front", needs("nginx"), () => {
  let jpeg: Buffer;
  let other: Buffer;
  /** The origin's answer by path; any other path is an image. */
  const answers = new Map<string, "absent" | "failing" | "cut" | Buffer>();
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  let nginx: Nginx;

  beforeAll(async () => {
    [jpeg, other] = await Promise.all([noisyJpeg(320, 240), noisyJpeg(240, 320)]);
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      const answer = answers.get(target) ?? jpeg;
      if (answer === "absent") return connection.send(response("", { status: "404 Not Found" }));
      if (answer === "failing") return connection.send(response("", { status: "500 Internal Server Error" }));
      if (answer !== "cut") return connection.send(response(answer));
      await connection.send(head("200 OK", [["Content-Length", String(jpeg.byteLength)]]));
      await connection.send(jpeg.subarray(0, jpeg.byteLength / 2));
      // Long enough for the first half to reach the client.
      await connection.pause(300);
      connection.end();
    });
    const bucket = (name: string, host: string, more: object = {}) => ({
      name,
      domains: [{ host, mirror: mirrorOf(origin.url, { negativeTtl: "0s" }) }],
      ...more,
    });
    installation = await install({
      projects: [
        {
          appid: APPID,
          keys: [KEYS[0]],
          buckets: [
            bucket("open", OPEN),
            bucket("private", PRIVATE, { token: "required" }),
            bucket("shared", SHARED, { token: "required", signedCacheControl: "shared" }),
            bucket("short", SHORT, { cacheControl: "public, max-age=1, stale-if-error=600" }),
          ],
        },
      ],
    });
    program = await installation.start();
    nginx = await startNginx({
      root: installation.folder,
      httpConf: HTTP,
      conf: LOCATIONS(program.downloadPort),
    });
  });

  afterAll(async () => {
    await nginx?.remove();
    await program?.stop();
    await installation?.remove();
    await origin?.close();
  });

  const through = (path: string, headers: Record<string, string> = {}, host = OPEN, method = "GET") =>
    get({ port: nginx.port, host, path, headers, method });
  const refresh = (path: string) => through(path, { "x-refresh": "yes" });
  const cacheOf = ({ headers }: GetResult) => headers["x-cache"];
  const operate = async (...args: readonly string[]) => {
    const ended = await loadedHuiyuan([...args, "--admin", `http://127.0.0.1:${program.adminPort}`]);
    expect(ended).toMatchObject({ code: 0 });
  };

  /** Resolves once the image is stored in the program. */
  async function stored(path: string, host = OPEN, query = ""): Promise<void> {
    const isStored = async () => {
      const { headers } = await get({ port: program.downloadPort, host, path: path + query });
      return /; hit; detail=(memory|bucket)/.test(String(headers["cache-status"]));
    };
    await eventually(isStored, `${path} is stored`);
  }

  let random = 0;
  /** A query that signs a path of a bucket for an hour. */
  function signed(bucket: string, fileid: string): string {
    const now = Math.floor(Date.now() / 1_000);
    random += 1;
    const fields = { appid: APPID, bucket, secretId: KEYS[0].secretId, userid: "0", fileid, random };
    return `?sign=${encodeURIComponent(makeToken({ ...fields, expires: now + 3_600, issuedAt: now }, KEYS[0].secretKey))}`;
  }

  test("a cache key without the query serves the original in place of a thumbnail", async () => {
    const thumbnail = "?imageView2/2/w/80";
    await through("/without-query/a.jpg");
    expect((await through(`/without-query/a.jpg${thumbnail}`)).body.equals(jpeg)).toBe(true);
    await through("/with-query/a.jpg");
    expect((await through(`/with-query/a.jpg${thumbnail}`)).body.equals(jpeg)).toBe(false);
  });

  describe("format/auto", () => {
    const typesOf = async (path: string) => {
      const types: unknown[] = [];
      for (const accept of [AVIF, WEBP, OLD]) types.push((await through(path, accept)).headers["content-type"]);
      return types;
    };
    const RIGHT = ["image/avif", "image/webp", "image/jpeg"];
    const query = "?imageView2/2/w/64/format/auto";

    test.each([
      ["a cache that follows Vary keeps a copy for each Accept", `/with-vary/a.jpg${query}`, RIGHT],
      [
        "a cache that ignores Vary serves AVIF to every browser",
        `/without-vary/a.jpg${query}`,
        Array(3).fill(RIGHT[0]),
      ],
      ["a cache key with the accepted format is right without Vary", `/by-format/a.jpg${query}`, RIGHT],
      [
        "a format in the URL is right without Vary",
        "/without-vary/b.jpg?imageView2/2/w/64/format/webp",
        Array(3).fill(RIGHT[1]),
      ],
    ])("%s", async (_what, path, types) => {
      expect(await typesOf(path)).toEqual(types);
    });

    test("only answers that go by Accept have Vary", async () => {
      expect((await through(`/varies/a.jpg${query}`)).headers.vary).toBe("Accept");
      expect((await through("/varies/a.jpg?imageView2/2/w/64")).headers.vary).toBeUndefined();
      expect((await through("/varies/a.jpg")).headers.vary).toBeUndefined();
    });
  });

  describe("signed URLs", () => {
    test("no cache keeps a private answer", async () => {
      const path = "/signed.jpg";
      const url = path + signed("private", path.slice(1));
      await stored(path, PRIVATE, signed("private", path.slice(1)));
      for (let time = 0; time < 2; time += 1) {
        const answer = await through(url, {}, PRIVATE);
        expect([answer.status, cacheOf(answer)]).toEqual([200, "MISS"]);
        expect(answer.headers["cache-control"]).toMatch(/^private, max-age=3[56]\d\d$/);
      }
    });

    test("each token is another copy of a shared answer", async () => {
      const path = "/signed.jpg";
      await stored(path, SHARED, signed("shared", path.slice(1)));
      const url = path + signed("shared", path.slice(1));
      const first = await through(url, {}, SHARED);
      expect(first.headers["cache-control"]).toMatch(/^public, max-age=3[56]\d\d$/);
      expect(cacheOf(await through(url, {}, SHARED))).toBe("HIT");
      expect(cacheOf(await through(path + signed("shared", path.slice(1)), {}, SHARED))).toBe("MISS");
    });

    test("a shared answer under a key without sign is served to everybody", async () => {
      const path = "/without-query/signed.jpg";
      expect((await through(path, {}, SHARED)).status).toBe(403);
      expect((await through(path + signed("shared", path.slice(1)), {}, SHARED)).status).toBe(200);
      const unsigned = await through(path, {}, SHARED);
      expect([unsigned.status, cacheOf(unsigned)]).toEqual([200, "HIT"]);
    });
  });

  describe("errors", () => {
    test.each([
      ["absent", 404],
      ["failing", 424],
    ] as const)("an image that was %s is served as soon as the origin has it", async (state, status) => {
      const path = `/${state}.jpg`;
      answers.set(path, state);
      const failed = await through(path);
      expect([failed.status, failed.headers["cache-control"]]).toEqual([status, "no-store"]);
      answers.delete(path);
      await eventually(async () => (await through(path)).status === 200, "the image is served");
    });

    test("no cache keeps half an image", async () => {
      answers.set("/cut.jpg", "cut");
      expect(await through("/cut.jpg")).toMatchObject({ status: 200, isWhole: false });
      answers.delete("/cut.jpg");
      const isServed = async () => {
        const { status, body } = await through("/cut.jpg");
        return status === 200 && body.equals(jpeg);
      };
      await eventually(isServed, "the whole image is served");
    });
  });

  describe("requests of a CDN", () => {
    test("slices of an image that was not stored make the whole image", async () => {
      for (const cache of ["MISS", "HIT"]) {
        const answer = await through("/slices/cold.jpg");
        expect([answer.status, answer.isWhole, answer.body.equals(jpeg)]).toEqual([200, true, true]);
        expect(cacheOf(answer)).toBe(cache);
      }
    });

    test("a HEAD has the headers of the image and no body", async () => {
      await stored("/head.jpg");
      const { status, headers, body } = await through("/head.jpg", {}, OPEN, "HEAD");
      expect([status, headers["content-type"], body.byteLength]).toEqual([200, "image/jpeg", 0]);
      expect(headers["content-length"]).toBe(String(jpeg.byteLength));
    });

    test("images are never compressed", async () => {
      const { headers } = await through("/plain.jpg", { "accept-encoding": "gzip, br" });
      expect(headers["content-encoding"]).toBeUndefined();
    });
  });

  describe("purge and delete", () => {
    test("a CDN that is refreshed before the purge keeps the old image", async () => {
      const path = "/purged.jpg";
      await stored(path);
      expect((await through(path)).body.equals(jpeg)).toBe(true);
      answers.set(path, other);
      await refresh(path);
      await operate("purge", `http://${OPEN}${path}`);
      const kept = await through(path);
      expect([cacheOf(kept), kept.body.equals(jpeg)]).toEqual(["HIT", true]);
      expect((await refresh(path)).body.equals(other)).toBe(true);
      expect((await through(path)).body.equals(other)).toBe(true);
    });

    test("a CDN serves a deleted image until its own copy is removed", async () => {
      const path = "/deleted.jpg";
      await stored(path);
      await through(path);
      await operate("delete", `http://${OPEN}${path}`);
      expect((await get({ port: program.downloadPort, host: OPEN, path })).status).toBe(404);
      expect(cacheOf(await through(path))).toBe("HIT");
      // This request passes the copy by. The 404 is `no-store`, so nginx does not replace the copy with it.
      const gone = await refresh(path);
      expect([gone.status, gone.headers["x-errno"]]).toEqual([404, "-6101"]);
      expect(cacheOf(await through(path))).toBe("HIT");
    });
  });

  // Last, because it stops the program.
  test("stale-if-error of cacheControl lets a CDN serve while the program is away", async () => {
    await stored("/stale.jpg", SHORT);
    const first = await through("/stale.jpg", {}, SHORT);
    expect(first.headers["cache-control"]).toBe("public, max-age=1, stale-if-error=600");
    await program.stop();
    const isStale = async () => cacheOf(await through("/stale.jpg", {}, SHORT)) === "STALE";
    await eventually(isStale, "nginx serves the stale image");
    expect((await through("/stale.jpg", {}, SHORT)).body.equals(jpeg)).toBe(true);
  });
});
