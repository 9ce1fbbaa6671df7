// Mirror types, keys and rules against a real nginx. Its access log shows the requests, and the catalogue the objects.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GetOptions, get } from "../helpers/get.ts";
import { noisyJpeg, noisyPng } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, type Nginx, needs, serviceAvailable, startNginx } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const ON_NGINX = needs("nginx");

let root: string;
let nginx: Nginx;
let echo: ScriptedOrigin;
let installation: Installation;
let program: Program;
let original: Buffer;
let thumb: Buffer;
let png: Buffer;

const FILES = ["url", "a.jpg", "b.jpg", "pic_key", "pic_key2", "old/new.jpg", "kept/c.jpg", "e.jpg", "f.jpg", "g.jpg"];
const NGINX = `
  location /processed/ { if ($args ~ "^imageView2/") { rewrite ^ /thumb.jpg break; } }
  location = /query.jpg { if ($arg_token = "s3cret") { rewrite ^ /a.jpg break; } return 403; }
`;

/** A bucket for each name, with a domain `<name>.example`. */
function buckets(mirrors: Readonly<Record<string, object>>): object {
  const all = Object.entries(mirrors).map(([name, mirror]) => ({
    name,
    separators: ["!"],
    aliases: { small: "imageView2/1/w/20", facts: "imageInfo" },
    domains: [{ host: `${name}.example`, mirror }],
  }));
  return { projects: [{ appid: APPID, keys: [KEYS[0]], buckets: all }] };
}

beforeAll(async () => {
  if (!serviceAvailable("nginx")) return;
  original = await noisyJpeg(160, 120);
  thumb = await noisyJpeg(20, 15);
  png = await noisyPng(32, 32);
  root = await mkdtemp(join(tmpdir(), "huiyuan-rules-"));
  const put = async (name: string, bytes: Buffer) => {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), bytes);
  };
  for (const name of FILES) await put(name, original);
  for (const name of ["processed/p.jpg", "processed/q.jpg", "url!a=1"]) await put(name, original);
  for (const name of ["thumb.jpg", "processed/q.jpg!small", "missing.jpg"]) await put(name, thumb);
  await put("h.png", png);
  nginx = await startNginx({ root, conf: NGINX });
  echo = await startScriptedOrigin((_, connection) => connection.send(response(original)));
  const source = (more: object = {}) => mirrorOf(nginx.url, more);
  const byRules = (...rules: object[]) => source({ rules });
  const publicSite = "https://www.example.com/pictures";
  installation = await install(
    buckets({
      originals: source(),
      passed: source({ processedMiss: "origin" }),
      everything: source({ type: "everything" }),
      listed: source({ keyQuery: ["v"] }),
      dots: source({ type: "everything" }),
      bounded: source({ type: "everything", maxKeys: 2 }),
      paths: byRules(
        { match: { prefix: "2015/", suffix: ".jpg" }, path: { strip: "2015/", add: "old/" } },
        {
          match: { prefix: "cgi/" },
          path: { strip: "cgi/", template: "query.jpg?file={key}" },
          setQuery: { token: "s3cret" },
        },
        { match: { prefix: "none/" }, action: "none" },
        { match: { prefix: "away/" }, action: "redirect", path: { strip: "away/" }, redirectTo: publicSite },
        { match: { prefix: "async/" }, action: "async", path: { strip: "async/" }, redirectTo: publicSite },
        { match: { prefix: "png/" }, path: { strip: "png/" }, allowedTypes: ["jpeg"] },
        { match: { prefix: "small/" }, path: { strip: "small/" }, objectSize: "1KiB" },
        { match: { prefix: "pass/" }, path: { strip: "pass/" }, passQuery: true },
        { match: { prefix: "fall404/" }, fallbackKey: "missing.jpg" },
        { match: { prefix: "fall200/" }, fallbackKey: "missing.jpg", fallbackStatus: 200 },
        { match: { prefix: "get/", methods: ["HEAD"] }, action: "none" },
      ),
      headers: {
        origins: [{ type: "site", url: echo.url, allowPrivate: true, headers: { "X-Key": "ours" } }],
        rules: [{ passHeaders: { allow: ["*"], deny: ["X-No"], set: { "X-Set": "set" } } }],
      },
    }),
  );
  program = await installation.start();
}, 60_000);
afterAll(async () => {
  await program?.stop();
  await echo?.close();
  await nginx?.remove();
  await installation?.remove();
  if (root !== undefined) await rm(root, { recursive: true });
});

const ask = (bucket: string, path: string, more: Partial<GetOptions> = {}) =>
  get({ port: program.downloadPort, host: `${bucket}.example`, path, ...more });

const storedKeys = (bucket: string) => keysIn(installation.data, `${APPID}/${bucket}`);

const stored = (bucket: string, keys: readonly string[]) =>
  eventually(() => JSON.stringify(storedKeys(bucket)) === JSON.stringify(keys), `${bucket} holds ${keys.join(", ")}`);

/** The requests to nginx during `run`, at least `count`. nginx logs a request once its own response has ended. */
async function requestsDuring(count: number, run: () => Promise<void>): Promise<string[]> {
  const before = (await nginx.accessLog()).length;
  await run();
  let lines: string[] = [];
  await eventually(async () => {
    lines = (await nginx.accessLog()).slice(before);
    return lines.length >= count;
  }, `nginx has got ${count} requests`);
  return lines.map((line) => line.split(" ").slice(0, 2).join(" "));
}

test(
  "originals: query and token are no part of the key, an unknown suffix is, and processing waits for its original",
  ON_NGINX,
  async () => {
    const lines = await requestsDuring(4, async () => {
      expect((await ask("originals", "/url?a=1&sign=abc")).body).toEqual(original);
      await stored("originals", ["url"]);
      expect((await ask("originals", "/url?b=2")).headers["cache-status"]).toContain("hit");
      expect((await ask("originals", "/url!a=1")).status).toBe(200);
      const processed = await ask("originals", "/a.jpg?imageView2/1/w/100/h/100");
      expect([processed.status, processed.headers["content-type"]]).toEqual([200, "image/jpeg"]);
      expect((await ask("originals", "/b.jpg!small")).status).toBe(200);
      expect((await ask("originals", "/nothing.jpg?imageView2/1/w/100")).status).toBe(404);
    });
    expect(lines).toEqual(["GET /url", "GET /url!a=1", "GET /a.jpg", "GET /b.jpg", "GET /nothing.jpg"]);
    await stored("originals", ["a.jpg", "b.jpg", "url", "url!a=1"]);
  },
);

test(
  "processedMiss origin: the origin's own response is passed on, and a second fetch stores the original",
  ON_NGINX,
  async () => {
    const lines = await requestsDuring(4, async () => {
      const byQuery = await ask("passed", "/processed/p.jpg?imageView2/1/w/20&sign=x");
      expect([byQuery.status, byQuery.body.equals(thumb), byQuery.headers["cache-status"]]).toEqual([
        200,
        true,
        "huiyuan; fwd=uri-miss",
      ]);
      await stored("passed", ["processed/p.jpg"]);
      expect((await ask("passed", "/processed/q.jpg!small")).body).toEqual(thumb);
      await stored("passed", ["processed/p.jpg", "processed/q.jpg"]);
    });
    expect(lines).toEqual([
      "GET /processed/p.jpg?imageView2/1/w/20",
      "GET /processed/p.jpg",
      "GET /processed/q.jpg!small",
      "GET /processed/q.jpg",
    ]);
    expect((await ask("passed", "/processed/p.jpg")).body).toEqual(original);
  },
);

test(
  "processedMiss origin: image facts are computed locally, in any spelling, and never fetched",
  ON_NGINX,
  async () => {
    const paths = [
      "/processed/f1.jpg?imageInfo",
      "/processed/f2.jpg?imageView2/2/w/10%7CimageInfo",
      "/processed/f3.jpg!facts",
    ];
    for (const name of ["f1", "f2", "f3"]) await writeFile(join(root, `processed/${name}.jpg`), original);
    const lines = await requestsDuring(3, async () => {
      for (const path of paths) {
        const { status, headers } = await ask("passed", path);
        expect([path, status, headers["content-type"]]).toEqual([path, 200, "application/json"]);
      }
    });
    expect(lines).toEqual(["GET /processed/f1.jpg", "GET /processed/f2.jpg", "GET /processed/f3.jpg"]);
  },
);

test("processedMiss origin: many concurrent requests cause one fetch of each", ON_NGINX, async () => {
  await writeFile(join(root, "processed/many.jpg"), original);
  const lines = await requestsDuring(2, async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask("passed", "/processed/many.jpg?imageView2/1/w/20")),
    );
    for (const answer of answers) expect(answer.status).toBe(200);
    await eventually(() => storedKeys("passed").includes("processed/many.jpg"), "the original is stored");
  });
  expect(lines.filter((line) => line === "GET /processed/many.jpg")).toHaveLength(1);
});

test("everything: a path inside a query is only text", ON_NGINX, async () => {
  const lines = await requestsDuring(2, async () => {
    for (const path of ["/a.jpg?../../x", "/a.jpg?../%2E%2E/x"]) {
      expect((await ask("dots", path)).body).toEqual(original);
    }
    await stored("dots", ["a.jpg?../%252E%252E/x", "a.jpg?../%2E%2E/x"]);
    expect((await ask("dots", "/a.jpg?../../x")).headers["cache-status"]).toContain("hit");
  });
  expect(lines).toEqual(["GET /a.jpg?../../x", "GET /a.jpg?../%2E%2E/x"]);
});

test("everything: each URL with its query is an object of its own", ON_NGINX, async () => {
  const lines = await requestsDuring(4, async () => {
    for (const path of ["/pic_key?a=xxx&b=xxx", "/pic_key", "/pic_key?imageView2/1/w/20", "/pic_key2?a=xxx&sign=abc"]) {
      expect((await ask("everything", path)).body).toEqual(original);
    }
    await stored("everything", ["pic_key", "pic_key2?a=xxx", "pic_key?a=xxx&b=xxx", "pic_key?imageView2/1/w/20"]);
    expect((await ask("everything", "/pic_key?a=xxx&b=xxx")).headers["cache-status"]).toContain("hit");
  });
  expect(lines).toEqual([
    "GET /pic_key?a=xxx&b=xxx",
    "GET /pic_key",
    "GET /pic_key?imageView2/1/w/20",
    "GET /pic_key2?a=xxx",
  ]);
});

test("keyQuery as a list: listed parameters belong to the key and are sent, others are dropped", ON_NGINX, async () => {
  const lines = await requestsDuring(2, async () => {
    await ask("listed", "/a.jpg?v=1&x=2");
    await ask("listed", "/a.jpg?x=3");
    await stored("listed", ["a.jpg", "a.jpg?v=1"]);
    expect((await ask("listed", "/a.jpg?y=4&v=1")).headers["cache-status"]).toContain("hit");
  });
  expect(lines).toEqual(["GET /a.jpg?v=1", "GET /a.jpg"]);
});

test("maxKeys: further queries are passed on, not stored, and counted; other keys do not count", ON_NGINX, async () => {
  for (const path of ["/b.jpg", "/e.jpg", "/f.jpg", "/a.jpg?1", "/a.jpg?2", "/a.jpg?3", "/g.jpg"]) {
    const { status, headers } = await ask("bounded", path);
    expect([path, status, headers["cache-status"]]).toEqual([
      path,
      200,
      path.endsWith("3") ? "huiyuan; fwd=uri-miss" : "huiyuan; fwd=uri-miss; stored",
    ]);
  }
  await stored("bounded", ["a.jpg?1", "a.jpg?2", "b.jpg", "e.jpg", "f.jpg", "g.jpg"]);
  const admin = async (path: string) =>
    (await get({ port: program.adminPort, path, host: "127.0.0.1" })).body.toString();
  const metrics = await admin("/metrics");
  expect(metrics).toContain('huiyuan_refused_total{reason="max_keys"} 1');
  expect(metrics).toContain(`huiyuan_max_keys_used_ratio{bucket="${APPID}/bounded"} 1`);
  expect(JSON.parse(await admin("/api/v1/overview")).attention).toContainEqual(
    expect.objectContaining({ code: "HuiyuanMaxKeysNear", values: { bucket: `${APPID}/bounded`, percent: 100 } }),
  );
});

test("paths are rewritten for the origin, keys are not", ON_NGINX, async () => {
  const lines = await requestsDuring(2, async () => {
    expect((await ask("paths", "/2015/new.jpg")).status).toBe(200);
    expect((await ask("paths", "/cgi/x%26y.jpg?drop=1")).body).toEqual(original);
    await eventually(() => storedKeys("paths").includes("cgi/x&y.jpg"), "the image is stored under the URL's path");
  });
  expect(lines).toEqual(["GET /old/new.jpg", "GET /query.jpg?file=x%26y.jpg&token=s3cret"]);
  expect(storedKeys("paths")).toContain("2015/new.jpg");
  expect((await ask("paths", "/2015/..%2fnew.jpg")).status).toBe(400);
});

test("redirect and async send the client to the origin's public URL, and only async stores", ON_NGINX, async () => {
  const lines = await requestsDuring(1, async () => {
    const away = await ask("paths", "/away/%E5%9B%BE%20b.jpg?sign=abc");
    expect([away.status, away.headers.location, away.headers["cache-control"]]).toEqual([
      302,
      "https://www.example.com/pictures/%E5%9B%BE%20b.jpg",
      "no-store",
    ]);
    const behind = await ask("paths", "/async/e.jpg");
    expect([behind.status, behind.headers.location]).toEqual([302, "https://www.example.com/pictures/e.jpg"]);
    await eventually(() => storedKeys("paths").includes("async/e.jpg"), "the image is stored after the redirect");
  });
  expect(lines).toEqual(["GET /e.jpg"]);
  expect((await ask("paths", "/async/e.jpg")).body).toEqual(original);
});

test("a rule may close a prefix, a method, a type or a size", ON_NGINX, async () => {
  const lines = await requestsDuring(2, async () => {
    expect((await ask("paths", "/none/a.jpg")).status).toBe(404);
    expect((await ask("paths", "/get/a.jpg", { method: "HEAD" })).status).toBe(404);
    const type = await ask("paths", "/png/h.png");
    expect([type.status, type.headers["x-errno"]]).toEqual([424, "-120"]);
    const size = await ask("paths", "/small/f.jpg");
    expect([size.status, size.headers["x-errno"]]).toEqual([424, "-120"]);
  });
  expect(lines).toEqual(["GET /h.png", "GET /f.jpg"]);
});

test("passQuery sends the query, and the response is not stored", ON_NGINX, async () => {
  const lines = await requestsDuring(3, async () => {
    expect((await ask("paths", "/pass/g.jpg?x=1")).headers["cache-status"]).toBe("huiyuan; fwd=uri-miss");
    expect((await ask("paths", "/pass/g.jpg?x=1")).headers["cache-status"]).toBe("huiyuan; fwd=uri-miss");
    expect(storedKeys("paths")).not.toContain("pass/g.jpg");
    await ask("paths", "/pass/g.jpg");
    await eventually(() => storedKeys("paths").includes("pass/g.jpg"), "the image without a query is stored");
  });
  expect(lines).toEqual(["GET /g.jpg?x=1", "GET /g.jpg?x=1", "GET /g.jpg"]);
});

test("a fallback is served if the origin lacks the image, never under the requested key", ON_NGINX, async () => {
  const gone = await ask("paths", "/fall404/no.jpg", { headers: { range: "bytes=0-9" } });
  expect([gone.status, gone.headers["x-errno"], gone.headers["cache-control"]]).toEqual([404, "-6101", "no-store"]);
  expect(gone.body).toEqual(thumb);
  const shown = await ask("paths", "/fall200/no.jpg");
  expect([shown.status, shown.headers["x-errno"]]).toEqual([200, "-6101"]);
  expect(shown.headers["cache-control"]).toBe("public, max-age=60");
  expect(shown.body).toEqual(thumb);
  const head404 = await ask("paths", "/fall404/no.jpg", { method: "HEAD" });
  expect([head404.status, head404.body.length, head404.headers["content-length"]]).toEqual([
    404,
    0,
    String(thumb.length),
  ]);
  await eventually(() => storedKeys("paths").includes("missing.jpg"), "the fallback has a fill of its own");
  expect(storedKeys("paths").filter((key) => key.startsWith("fall"))).toEqual([]);
});

test(
  "client headers are passed on as the rule says, but never credentials or content negotiation",
  ON_NGINX,
  async () => {
    await ask("headers", "/x.jpg", {
      headers: {
        "x-yes": "1",
        "x-no": "2",
        "x-key": "theirs",
        "x-set": "theirs",
        "x-hop": "3",
        connection: "close, x-hop",
        cookie: "a=b",
        authorization: "Basic x",
        "accept-language": "de",
        "if-none-match": '"a"',
        range: "bytes=0-1",
        "user-agent": "browser",
      },
    });
    await echo.received(1);
    const headers: Readonly<Record<string, string>> = echo.requests[0]?.headers ?? {};
    expect(headers).toMatchObject({
      "x-yes": "1",
      "x-key": "ours",
      "x-set": "set",
      "user-agent": "browser",
      accept: "*/*",
    });
    for (const name of ["x-no", "x-hop", "cookie", "authorization", "accept-language", "if-none-match", "range"]) {
      expect(headers[name], name).toBeUndefined();
    }
  },
);

test("two mirrors of each other detect the loop at once", async () => {
  const ports = [await freePort(), await freePort()] as const;
  const timeouts = { connect: "60s", firstByte: "60s", idle: "60s", total: "60s" };
  const make = (own: number, other: number) => {
    const bucket = {
      name: "photos",
      domains: [{ host: "*", mirror: mirrorOf(`http://127.0.0.1:${other}`, { headMiss: "store", timeouts }) }],
    };
    return install({
      server: { port: own },
      projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [bucket] }],
    });
  };
  const pair = [await make(ports[0], ports[1]), await make(ports[1], ports[0])] as const;
  const programs: Program[] = [];
  try {
    for (const one of pair) programs.push(await one.start());
    const began = performance.now();
    const answer = await get({ port: ports[0], path: "/a.jpg" });
    expect([answer.status, answer.headers["x-errno"]]).toEqual([424, "-120"]);
    // The request that has returned must not wait for the fill that sent it.
    expect(performance.now() - began).toBeLessThan(30_000);
  } finally {
    for (const one of programs) await one.stop();
    for (const one of pair) await one.remove();
  }
});
