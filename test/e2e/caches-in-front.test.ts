// Runs the program behind a real nginx and a real Varnish. After the origin changed, none may show the old image longer
// than its life says, and a refused visitor may not cost others their image.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type Nginx, needs, startNginx, startVarnish, type Varnish } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { createLatch } from "../helpers/spools.ts";

const DEADLINE_MS = 40_000;
/** Only visitors of friend.example may see its images. */
const LISTED = "listed.example";
const FRIEND = { referer: "https://friend.example/page" };
const STRANGER = { referer: "https://stranger.example/page" };

/** A version of an image, as the origin sends it. */
interface Version {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Resolves once the origin accepts requests. */
  readonly ready: Promise<void>;
}

describe("behind a cache", needs("nginx", "varnish"), () => {
  const versions = new Map<string, Version>();
  let jpeg: Buffer;
  let other: Buffer;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  let nginx: Nginx;
  let varnish: Varnish;

  beforeAll(async () => {
    [jpeg, other] = await Promise.all([noisyJpeg(320, 240), noisyJpeg(240, 320)]);
    origin = await startScriptedOrigin(async (request, connection) => {
      const version = versions.get(request.target);
      if (version === undefined) return connection.send(response("", { status: "404 Not Found" }));
      await version.ready;
      const headers = { ETag: version.etag, ...version.headers };
      if (request.headers["if-none-match"] === version.etag)
        return connection.send(head("304 Not Modified", Object.entries(headers)));
      return connection.send(response(version.bytes, { headers }));
    });
    const rules = [{ match: { prefix: "origin/" }, freshness: { mode: "origin" } }];
    const freshness = { mode: "ttl", ttl: "3s", staleIfError: "1h" };
    const domain = (host: string, more: object) => ({ host, mirror: mirrorOf(origin.url, more) });
    installation = await install({
      projects: [
        {
          appid: APPID,
          keys: [KEYS[0]],
          buckets: [
            { name: "photos", domains: [domain("*", { freshness, rules })] },
            { name: "listed", domains: [domain(LISTED, {})], referers: { mode: "allow", domains: ["friend.example"] } },
          ],
        },
      ],
    });
    program = await installation.start();
    const root = join(installation.folder, "root");
    await mkdir(root);
    nginx = await startNginx({
      root,
      httpConf: "proxy_cache_path cache keys_zone=images:1m;",
      conf: `location / {
        proxy_pass http://127.0.0.1:${program.downloadPort};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_cache images;
        proxy_cache_key $host$request_uri;
        add_header X-Cache $upstream_cache_status always;
      }`,
    });
    varnish = await startVarnish(program.downloadPort);
  });

  afterAll(async () => {
    await varnish?.remove();
    await nginx?.remove();
    await program?.stop();
    await installation?.remove();
    await origin?.close();
  });

  const caches = [
    {
      name: "nginx",
      port: () => nginx.port,
      isHit: ({ headers }: GetResult) => headers["x-cache"] === "HIT",
    },
    {
      name: "Varnish",
      port: () => varnish.port,
      // A hit also names the request that fetched the image.
      isHit: ({ headers }: GetResult) => /^\d+ \d+$/.test(String(headers["x-varnish"])),
    },
  ];

  /** Retries until the response satisfies `holds`. */
  async function until(ask: () => Promise<GetResult>, holds: (answer: GetResult) => boolean, what: string) {
    let last = await ask();
    await eventually(
      async () => {
        if (holds(last)) return true;
        last = await ask();
        return holds(last);
      },
      what,
      DEADLINE_MS,
    );
    return last;
  }

  const shows = (bytes: Buffer) => (answer: GetResult) => answer.status === 200 && answer.body.equals(bytes);
  const isStale = ({ headers }: GetResult) => /^huiyuan; hit; ttl=-\d+;/.test(String(headers["cache-status"]));

  describe.each(caches)("$name", ({ name, port, isHit }) => {
    test.each([
      ["ttl", {}],
      // If max-age counted from an Age header, nginx would keep the image for an hour.
      ["origin", { "Cache-Control": "max-age=3603", Age: "3600" }],
    ])("serves no image beyond its lifetime in mode %s", async (mode, headers) => {
      const path = `/${mode}/${name}.jpg`;
      const direct = () => get({ port: program.downloadPort, path });
      const through = () => get({ port: port(), path });
      const now = Promise.resolve();
      versions.set(path, { bytes: jpeg, etag: '"1"', headers, ready: now });
      await until(direct, (answer) => String(answer.headers["cache-status"]).includes("hit"), "the image is stored");
      const kept = await until(through, isHit, "the cache has it");
      expect(shows(jpeg)(kept)).toBe(true);

      const latch = createLatch();
      versions.set(path, { bytes: other, etag: '"2"', headers, ready: latch.opened });
      try {
        const stale = await until(through, isStale, "the image is stale, for the cache too");
        expect([shows(jpeg)(stale), stale.headers["cache-control"]]).toEqual([true, "public, max-age=0"]);
        expect((await direct()).headers.age).toBeUndefined();
      } finally {
        latch.open();
      }
      await until(direct, shows(other), "the new image is stored");
      expect(shows(other)(await through())).toBe(true);
    });

    test.each([
      ["an image", ""],
      ["a variant that goes by Accept", "?imageView2/2/w/160/format/auto"],
    ])("a refused visitor deprives nobody else of %s", async (_what, query) => {
      const original = `/listed-${name}.jpg`;
      const path = original + query;
      versions.set(original, { bytes: jpeg, etag: '"1"', headers: {}, ready: Promise.resolve() });
      const ask = (headers: GetOptions["headers"]) => () =>
        get({ port: port(), host: LISTED, path, headers: headers ?? {} });
      const kept = await until(ask(FRIEND), isHit, "the cache has it");
      const refused = await ask(STRANGER)();
      expect([refused.status, refused.headers["x-errno"]]).toEqual([403, "-108"]);
      expect(refused.headers.vary).toBe(kept.headers.vary);
      const again = await ask(FRIEND)();
      expect([shows(kept.body)(again), isHit(again)]).toEqual([true, true]);
    });
  });
});
