// A site's logos as they really come: an nginx that holds only compressed files, and other servers that compress
// everything. Clients get the image itself, and a browser that opens an SVG runs nothing in it.
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { type GetOptions, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
const LOGO = Buffer.from(
  `<?xml version="1.0" encoding="utf-8"?>
<!-- Generator: Adobe Illustrator 24.0.0 -->
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [
  <!ENTITY ns_svg "http://www.w3.org/2000/svg">
]>
<svg xmlns="&ns_svg;" viewBox="0 0 9 9"><style>path{fill:#c00}</style>${'<path d="M0 0h9v9z"/>'.repeat(30)}</svg>
`,
);
const ENCODE = { gzip: gzipSync, deflate: deflateSync, raw: deflateRawSync, br: brotliCompressSync } as const;
/** Each way to run a script or to load something; each leaves a mark, or a request for a path that begins with /ran. */
const EVIL = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90"
  onload="document.documentElement.setAttribute('data-ran', 'onload')">
  <script>document.documentElement.setAttribute("data-script", "ran"); fetch("/ran-fetch");</script>
  <script xlink:href="/ran-script.js"/>
  <image href="/ran-image.png" width="9" height="9"/>
  <style>@import url("/ran-style.css"); rect { fill: rgb(0, 0, 255) }</style>
  <rect width="90" height="90"/>
  <foreignObject width="9" height="9">
    <iframe xmlns="http://www.w3.org/1999/xhtml" src="/ran-frame.html"/>
    <img xmlns="http://www.w3.org/1999/xhtml" src="x" onerror="fetch('/ran-handler')"/>
  </foreignObject>
</svg>`;
type Coding = keyof typeof ENCODE;

const nginxSite = "nginx.example";
const nodeSite = "node.example";
let folder: string;
let jpeg: Buffer;
let origin: Server;
let installation: Installation;
let program: Program;
let nginx: Nginx | undefined;
/** Requests to the node origin: target and If-None-Match. */
const asked: [string, string | undefined][] = [];

const ask = (path: string, more: Partial<GetOptions> = {}) =>
  get({ port: program.downloadPort, host: nodeSite, path, ...more });
const isStored = (bucket: string, key: string) =>
  eventually(() => keysIn(installation.data, `${APPID}/${bucket}`).includes(key), `${key} is stored`);

/** Paths such as /gzip/logo.svg; half of a body in a path with `slow` comes after 300 ms. */
async function startOrigin(): Promise<Server> {
  const server = createServer((request, response) => {
    const [, coding = "", name = ""] = (request.url ?? "").split("/");
    const etag = `"${coding}"`;
    asked.push([request.url ?? "", request.headers["if-none-match"]]);
    const plain = name.endsWith(".svg") ? LOGO : jpeg;
    const bytes = ENCODE[coding as Coding](plain);
    const headers = { "Content-Encoding": coding === "raw" ? "deflate" : coding, ETag: etag };
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, { ETag: etag }).end();
      return;
    }
    response.writeHead(200, { ...headers, "Content-Length": bytes.length, "Content-Type": "image/svg+xml" });
    const middle = name.startsWith("slow") ? bytes.length / 2 : 0;
    response.write(bytes.subarray(0, middle));
    setTimeout(() => response.end(bytes.subarray(middle)), middle > 0 ? 300 : 0);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

/** Has no file but compressed ones; sends them whatever the client accepts. */
async function startSite(): Promise<Nginx> {
  await Promise.all([
    writeFile(join(folder, "logo.svg.gz"), gzipSync(LOGO)),
    writeFile(join(folder, "photo.jpg.gz"), gzipSync(jpeg)),
    writeFile(join(folder, "evil.svg.gz"), gzipSync(EVIL)),
  ]);
  return startNginx({
    root: folder,
    conf: "location / { gzip_static always; types { image/svg+xml svg; image/jpeg jpg; } } location /ran { return 204; }",
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-coded-"));
  jpeg = await noisyJpeg(640, 480);
  origin = await startOrigin();
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  const rules = [
    { match: { prefix: "br/aging" }, freshness: { mode: "ttl", ttl: "1s" } },
    { match: { prefix: "gzip/jpeg-only" }, allowedTypes: ["jpeg"] },
  ];
  const bucket = (name: string, host: string, mirror: object) => ({
    ...{ name, domains: [{ host, mirror }], separators: ["!"], aliases: { small: "imageView2/2/w/40" } },
  });
  const buckets = [bucket("node", nodeSite, mirrorOf(url, { rules }))];
  if (needs("nginx").skip !== true) {
    nginx = await startSite();
    buckets.push(bucket("nginx", nginxSite, mirrorOf(nginx.url)), bucket("browser", "*", mirrorOf(nginx.url)));
  }
  installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await nginx?.remove();
  origin?.close();
  await installation?.remove();
  await rm(folder, { recursive: true, force: true });
});

describe("an nginx with compressed files only", needs("nginx"), () => {
  test.each([
    ["logo.svg", () => LOGO, "image/svg+xml", POLICY],
    ["photo.jpg", () => jpeg, "image/jpeg", undefined],
  ])("gives %s, which is stored and served as the image itself", async (name, bytes, type, policy) => {
    const site = { port: nginx?.port ?? 0, path: `/${name}` };
    expect((await get(site)).headers["content-encoding"]).toBe("gzip");
    const ours = { host: nginxSite, path: `/${name}` };
    const expectImage = async (how: RegExp) => {
      const answer = await ask(ours.path, ours);
      expect(answer.headers["cache-status"]).toMatch(how);
      expect([answer.status, answer.isWhole, answer.body.equals(bytes())]).toEqual([200, true, true]);
      expect(answer.headers).toMatchObject({ "content-type": type, "x-content-type-options": "nosniff" });
      expect(answer.headers["content-security-policy"]).toBe(policy);
      expect(answer.headers["content-encoding"]).toBeUndefined();
      return answer;
    };
    await expectImage(/fwd=uri-miss/);
    await isStored("nginx", name);
    const { headers } = await expectImage(/^huiyuan; hit/);
    expect(headers["content-length"]).toBe(String(bytes().length));
    const range = await ask(ours.path, { ...ours, headers: { range: "bytes=10-19" } });
    expect([range.status, range.body]).toEqual([206, bytes().subarray(10, 20)]);
    expect(range.headers["content-security-policy"]).toBe(policy);
    const head = await ask(ours.path, { ...ours, method: "HEAD" });
    expect([head.headers["content-security-policy"], head.headers.etag]).toEqual([policy, headers.etag]);
    const etag = { "if-none-match": String(headers.etag) };
    expect((await ask(ours.path, { ...ours, headers: etag })).status).toBe(304);
    expect(await nginx?.accessLog()).toSatisfy(
      (lines: string[]) => lines.filter((line) => line.includes(name)).length === 2,
    );
  });
});

describe("a server that codes everything", () => {
  test.each(Object.keys(ENCODE))("%s is decoded, for all kinds of clients of one fetch", async (coding) => {
    const path = `/${coding}/slow.jpg`;
    const before = asked.length;
    const clients = await Promise.all([
      ...Array.from({ length: 10 }, () => ask(path)),
      ask(path, { headers: { "accept-encoding": "identity", range: "bytes=100-199" } }),
      ask(path, { headers: { "if-match": '"another"' } }),
    ]);
    expect(clients.map(({ status }) => status)).toEqual([...Array(10).fill(200), 206, 412]);
    for (const { body, isWhole } of clients.slice(0, 10)) expect([isWhole, body.equals(jpeg)]).toEqual([true, true]);
    expect(clients[10]?.body).toEqual(jpeg.subarray(100, 200));
    expect(asked.length - before).toBe(1);
  });

  test("a small image is proven before its head, so that the first client gets its length and ETag", async () => {
    const { headers, body } = await ask("/br/small.svg");
    expect(body).toEqual(LOGO);
    expect(headers).toMatchObject({ "content-length": String(LOGO.length), "content-security-policy": POLICY });
    expect(headers.etag).toBeDefined();
  });

  test("a HEAD for a missing image has no length, which would be that of the coded bytes", async () => {
    const { status, headers } = await ask("/gzip/head.svg", { method: "HEAD" });
    expect([status, headers["content-length"], headers["content-encoding"]]).toEqual([200, undefined, undefined]);
  });

  test("a stored image is revalidated with the validator of the coded form", async () => {
    const path = "/br/aging.svg";
    expect((await ask(path)).status).toBe(200);
    await isStored("node", "br/aging.svg");
    await eventually(async () => {
      expect((await ask(path)).body).toEqual(LOGO);
      return asked.some(([target, condition]) => target === path && condition === '"br"');
    }, "the image is revalidated");
  });

  test("an SVG is not processed, and is refused where only other types are accepted", async () => {
    const said = async (path: string) => {
      const { status, headers } = await ask(path);
      return [status, headers["x-errno"]];
    };
    for (const how of ["?imageView2/2/w/40", "?imageMogr2/format/png", "!small", "?imageInfo", "?exif", "?imageAve"])
      expect([how, ...(await said(`/gzip/logo.svg${how}`))]).toEqual([how, 400, "-441"]);
    expect(await said("/gzip/logo.svg")).toEqual([200, undefined]);
    expect(await said("/gzip/jpeg-only.svg")).toEqual([424, "-120"]);
    expect(await said("/gzip/jpeg-only.jpg")).toEqual([200, undefined]);
  });

  test("stored logos are served after a restart without the origin", async () => {
    expect((await ask("/deflate/kept.svg")).status).toBe(200);
    await isStored("node", "deflate/kept.svg");
    await program.stop();
    const before = asked.length;
    program = await installation.start();
    const { body, headers } = await ask("/deflate/kept.svg");
    expect(body).toEqual(LOGO);
    expect(headers).toMatchObject({ "content-type": "image/svg+xml", "content-security-policy": POLICY });
    expect(asked.length).toBe(before);
  });
});

describe("an SVG with scripts", needs("nginx", "chromium"), () => {
  test("runs nothing and loads nothing in a browser, and is drawn in its own style", async () => {
    const browser = await launchBrowser();
    try {
      /** Opens the file in a browser; returns the marks and requests of its scripts, and the colour of a pixel. */
      const open = async (url: string) => {
        const page = await browser.newPage();
        const loaded = new Set<string>();
        page.on("requestfinished", (request) => loaded.add(new URL(request.url()).pathname));
        await page.goto(url, { waitUntil: "networkidle" });
        const root = page.locator("svg").first();
        const marks = [await root.getAttribute("data-script"), await root.getAttribute("data-ran")];
        const shot = await page.screenshot({ clip: { x: 40, y: 40, width: 1, height: 1 } });
        await page.close();
        return { marks, loaded: [...loaded].filter((path) => path.startsWith("/ran")), shot };
      };
      const unprotected = await open(`${nginx?.url}/evil.svg`);
      expect(unprotected.marks).toEqual(["ran", "onload"]);
      expect(unprotected.loaded).toContain("/ran-fetch");
      const ran = async () => (await nginx?.accessLog())?.filter((line) => line.includes(" /ran")).length;
      const before = await ran();
      for (const state of ["miss", "hit"]) {
        const { marks, loaded, shot } = await open(`http://127.0.0.1:${program.downloadPort}/evil.svg`);
        expect([state, marks, loaded]).toEqual([state, [null, null], []]);
        expect(shot).toEqual(unprotected.shot);
        await isStored("browser", "evil.svg");
      }
      expect(await ran()).toBe(before);
    } finally {
      await browser.close();
    }
  });
});
