// `huiyuan doctor` against a real nginx and against scripted origins with one fault each. The settings that it proposes
// are valid and serve the origin's images.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../src/settings/load.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg, noisyPng } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { type OwnSite, startOwnSite } from "../helpers/own-site.ts";
import { huiyuan, install } from "../helpers/program.ts";
import {
  chunk,
  head,
  type OriginHandler,
  response,
  type ScriptedConnection,
  type ScriptedRequest,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { freePort, needs } from "../helpers/services.ts";

interface Said {
  readonly origin: string;
  readonly findings: readonly { readonly id: string; readonly severity: string; readonly found: string }[];
  readonly settings?: string;
}

const ENV = { HUIYUAN_SECRET_KEY: "doctor-test-secret-0123456789abcdef" };
let jpeg: Buffer;
let small: Buffer;
let png: Buffer;
beforeAll(async () => {
  [jpeg, small, png] = [await noisyJpeg(320, 240), await noisyJpeg(30, 20), await noisyPng(40, 30)];
});

async function examine(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  // Node reads the certificates that it trusts at its start.
  const run = "NODE_EXTRA_CA_CERTS" in env ? huiyuan : loadedHuiyuan;
  const ended = await run(["doctor", "--json", ...args], { env });
  expect(ended.err).toBe("");
  const said = JSON.parse(ended.out) as Said;
  const of = (id: string) => said.findings.filter((finding) => finding.id === id).map(({ severity }) => severity);
  return { ...said, code: ended.code, of };
}

/** Throws with every fault that `huiyuan check` reports. */
function check(yaml: string): void {
  const readFile = () => "";
  parseSettings(yaml, { env: ENV, readFile, file: "/nowhere/huiyuan.yaml" });
}

/** Starts the program with the proposed settings, and returns its response for the path. */
async function serveWith(yaml: string, path: string) {
  const { data: _, ...settings } = parse(yaml);
  const installation = await install(settings);
  const program = await installation.start({ env: ENV });
  try {
    return await get({ port: program.downloadPort, path });
  } finally {
    await program.stop();
    await installation.remove();
  }
}

describe("a healthy nginx", needs("nginx"), () => {
  let site: OwnSite;
  beforeAll(async () => {
    site = await startOwnSite("img.example.com");
    for (const path of ["2015/a.jpg", "风景 1.jpg"]) await site.put(path, jpeg);
    await site.put("small.jpg", small);
    await site.put("index.html", Buffer.from('<html><img src="/2015/a.jpg"></html>'));
  });
  afterAll(() => site?.close());
  const flags = ["--allow-private", "--host", "img.example.com"];

  test("has no problem, and the proposed settings serve its image unchanged", async () => {
    const said = await examine([site.url, "2015/a.jpg", "风景 1.jpg", `${site.url}/small.jpg`, ...flags]);
    expect(said.code).toBe(0);
    expect(said.findings.filter(({ severity }) => severity === "problem")).toEqual([]);
    for (const id of ["connection", "framing", "validators", "again", "head", "range", "if-none-match", "missing"])
      expect([id, said.of(id)]).toEqual([id, ["good"]]);
    expect(said.of("image")).toEqual(["good", "good", "good"]);
    expect(said.of("names")).toEqual(["good"]);
    expect(said.of("keep-alive")).toEqual(["good"]);
    check(said.settings ?? "");
    const answer = await serveWith(said.settings ?? "", "/2015/a.jpg");
    expect([answer.status, answer.body.equals(jpeg)]).toEqual([200, true]);
  });

  test("provides a sample on its home page, and the doctor notices that a query selects another image", async () => {
    const said = await examine([site.url, ...flags]);
    expect(said.findings.find(({ id }) => id === "image")?.found).toMatch(/^\/2015\/a\.jpg: a whole jpeg of 320 × 240/);
    expect(said.of("query")).toEqual(["good"]);
  });

  test("is addressed by its own host name", async () => {
    const said = await examine([site.url, "2015/a.jpg", "--allow-private"]);
    expect(said.code).toBe(1);
    expect(said.findings.find(({ id }) => id === "image")?.found).toMatch(/421, origin_status/);
  });

  test("gets a report for people on stdout, and nothing on stderr", async () => {
    const { code, out, err } = await huiyuan(["doctor", site.url, "2015/a.jpg", ...flags]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^ok {7}connects to 127\.0\.0\.1 in \d+ ms$/m);
    expect(out).toMatch(/0 problems, 0 warnings\. The origin can be mirrored as it is\./);
    check(out.slice(out.indexOf("# Proposed")));
  });
});

/** A good origin of /a.jpg, except for the requests that `handle` answers itself. */
function origin(handle: (request: ScriptedRequest, connection: ScriptedConnection) => Promise<boolean>): OriginHandler {
  return async (request, connection) => {
    if (await handle(request, connection)) return;
    const { target, method } = request;
    if (!/^\/a\.jpg(\?|$)/.test(target)) return connection.send(response("", { status: "404 Not Found" }));
    await connection.send(
      method === "HEAD" ? head("200 OK", [["Content-Length", String(jpeg.length)]]) : response(jpeg),
    );
  };
}

const isImage = ({ target }: ScriptedRequest) => target.startsWith("/a.jpg");
/** Answers each GET of the image with these bytes. */
const imageIs = (answer: (connection: ScriptedConnection, request: ScriptedRequest) => Promise<void>) =>
  origin(async (request, connection) => {
    if (!isImage(request) || request.method !== "GET") return false;
    await answer(connection, request);
    return true;
  });
const missingIs = (answer: () => Buffer) =>
  origin(async (request, connection) => {
    if (isImage(request)) return false;
    await connection.send(answer());
    return true;
  });
const withHeaders = (headers: Readonly<Record<string, string>>) =>
  imageIs((connection) => connection.send(response(jpeg, { headers })));
const html = () => response("<html>sorry</html>", { headers: { "Content-Type": "text/html" } });

let turn = 0;
const ROWS: readonly {
  readonly what: string;
  readonly handler: () => OriginHandler;
  readonly id: string;
  readonly severity: string;
  readonly code: 0 | 1;
  readonly proposes?: RegExp;
  readonly samples?: readonly string[];
}[] = [
  {
    what: "an HTML page in place of the image",
    handler: () => imageIs((to) => to.send(html())),
    id: "image",
    severity: "problem",
    code: 1,
  },
  {
    what: "an empty image",
    handler: () => imageIs((to) => to.send(response(""))),
    id: "image",
    severity: "problem",
    code: 1,
  },
  {
    what: "an image that is cut",
    handler: () =>
      imageIs(async (to) => {
        await to.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
        await to.send(jpeg.subarray(0, 2_000));
        to.end();
      }),
    id: "image",
    severity: "problem",
    code: 1,
  },
  {
    what: "an image with another MD5",
    handler: () => withHeaders({ "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA==" }),
    id: "image",
    severity: "warning",
    code: 1,
  },
  {
    what: "an image that is declared gzip and is not",
    handler: () => withHeaders({ "Content-Encoding": "gzip" }),
    id: "image",
    severity: "problem",
    code: 1,
  },
  { what: "an endless image", handler: () => imageIs(endless), id: "image", severity: "problem", code: 1 },
  {
    what: "an image that does not exist",
    handler: () => origin(async () => false),
    samples: ["b.jpg"],
    id: "sample",
    severity: "problem",
    code: 1,
  },
  {
    what: "bodies that end with the connection",
    handler: () =>
      imageIs(async (to) => {
        await to.send(head("200 OK"));
        await to.send(jpeg);
        to.end();
      }),
    id: "framing",
    severity: "warning",
    code: 0,
  },
  {
    what: "chunked bodies",
    handler: () =>
      imageIs((to) =>
        to.send(Buffer.concat([head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk(jpeg), chunk("")])),
      ),
    id: "framing",
    severity: "good",
    code: 0,
  },
  { what: "cookies", handler: () => withHeaders({ "Set-Cookie": "a=b" }), id: "cookies", severity: "warning", code: 0 },
  {
    what: "Vary",
    handler: () => withHeaders({ Vary: "Accept-Encoding, User-Agent" }),
    id: "vary",
    severity: "warning",
    code: 0,
  },
  {
    what: "a wrong type",
    handler: () => withHeaders({ "Content-Type": "text/plain" }),
    id: "types",
    severity: "note",
    code: 0,
  },
  {
    what: "Cache-Control",
    handler: () => withHeaders({ "Cache-Control": "no-store" }),
    id: "life",
    severity: "note",
    code: 0,
  },
  {
    what: "no keep-alive",
    handler: () =>
      imageIs(async (to) => {
        await to.send(response(jpeg, { headers: { Connection: "close" } }));
        to.end();
      }),
    id: "keep-alive",
    severity: "note",
    code: 0,
  },
  {
    what: "HEAD that is refused",
    handler: () =>
      origin(async ({ method }, to) => {
        if (method !== "HEAD") return false;
        await to.send(head("405 Method Not Allowed", [["Content-Length", "0"]]));
        return true;
      }),
    id: "head",
    severity: "warning",
    code: 0,
    proposes: /headMiss: store/,
  },
  {
    what: "HEAD that breaks the connection",
    handler: () =>
      origin(async ({ method }, to) => {
        if (method === "HEAD") to.reset();
        return method === "HEAD";
      }),
    id: "head",
    severity: "warning",
    code: 0,
    proposes: /headMiss: store/,
  },
  {
    what: "different bytes for each request",
    handler: () => imageIs(async (to) => to.send(response(turn++ % 2 === 0 ? jpeg : small))),
    id: "again",
    severity: "warning",
    code: 0,
  },
  {
    what: "images that depend on the query",
    handler: () => imageIs((to, { target }) => to.send(response(target.includes("width=") ? small : jpeg))),
    id: "query",
    severity: "warning",
    code: 0,
    proposes: /type: everything[\s\S]*maxKeys/,
  },
  {
    what: "another format for clients that accept it",
    handler: () => imageIs((to, { headers }) => to.send(response(headers.accept?.includes("webp") ? png : jpeg))),
    id: "negotiation",
    severity: "warning",
    code: 0,
  },
  {
    what: "gzip for clients that accept it",
    handler: () =>
      imageIs((to, { headers }) =>
        to.send(
          response(jpeg, {
            headers: headers["accept-encoding"]?.includes("gzip") ? { "Content-Encoding": "gzip" } : {},
          }),
        ),
      ),
    id: "compression",
    severity: "note",
    code: 0,
  },
  {
    what: "gzip for all clients, with the digest of the coded bytes",
    handler: () =>
      imageIs((to) => {
        const bytes = gzipSync(jpeg);
        const md5 = createHash("md5").update(bytes).digest("base64");
        return to.send(response(bytes, { headers: { "Content-Encoding": "gzip", "Content-MD5": md5 } }));
      }),
    id: "compression",
    severity: "note",
    code: 0,
  },
  {
    what: "a Referer list",
    handler: () =>
      imageIs((to, { headers }) =>
        to.send(headers.referer === undefined ? response("", { status: "403 Forbidden" }) : response(jpeg)),
      ),
    id: "referer",
    severity: "warning",
    code: 1,
    proposes: /referer: "http:/,
  },
  {
    what: "a page with 200 for a missing image",
    handler: () => missingIs(html),
    id: "missing",
    severity: "problem",
    code: 1,
  },
  {
    what: "a picture for a missing image",
    handler: () => missingIs(() => response(small)),
    id: "missing",
    severity: "problem",
    code: 1,
  },
  {
    what: "403 for a missing image",
    handler: () => missingIs(() => response("", { status: "403 Forbidden" })),
    id: "missing",
    severity: "warning",
    code: 0,
  },
  {
    what: "a redirect to the image",
    handler: () =>
      origin(async ({ target }, to) => {
        if (target !== "/old.jpg") return false;
        await to.send(response("", { status: "302 Found", headers: { Location: "/a.jpg" } }));
        return true;
      }),
    samples: ["old.jpg"],
    id: "redirects",
    severity: "note",
    code: 0,
  },
  {
    what: "names in GBK",
    handler: () =>
      origin(async ({ target }, to) => {
        if (target !== "/%B7%E7%BE%B0.jpg") return false;
        await to.send(response(jpeg));
        return true;
      }),
    samples: ["a.jpg", "风景.jpg"],
    id: "names",
    severity: "problem",
    code: 1,
  },
];

async function endless(connection: ScriptedConnection): Promise<void> {
  await connection.send(head("200 OK"));
  await connection.send(jpeg.subarray(0, 1_000));
  const noise = Buffer.alloc(1_048_576, 7);
  while (!connection.isGone) await connection.send(noise);
}

test.each(ROWS)("$what: $id, $severity", async ({ handler, id, severity, code, proposes, samples = ["a.jpg"] }) => {
  const scripted = await startScriptedOrigin(handler());
  try {
    const said = await examine([scripted.url, ...samples, "--allow-private"]);
    expect(said.of(id), JSON.stringify(said.findings, null, 1)).toContain(severity);
    expect(said.code).toBe(code);
    check(said.settings ?? "");
    if (proposes !== undefined) expect(said.settings).toMatch(proposes);
    expect(new Set(scripted.requests.map(({ method }) => method)).size).toBeLessThanOrEqual(2);
    expect(scripted.requests.length).toBeLessThanOrEqual(24);
  } finally {
    await scripted.close();
  }
});

test("a proposed Referer makes the origin serve its images", async () => {
  const scripted = await startScriptedOrigin(
    imageIs((to, { headers }) =>
      to.send(headers.referer === undefined ? response("", { status: "403 Forbidden" }) : response(jpeg)),
    ),
  );
  const said = await examine([scripted.url, "a.jpg", "--allow-private"]);
  const answer = await serveWith(said.settings ?? "", "/a.jpg");
  expect([answer.status, answer.body.equals(jpeg)]).toEqual([200, true]);
  await scripted.close();
});

test("a redirect to an internal address is not followed", async () => {
  const inside = await startScriptedOrigin({ "*": [response("secret")] });
  const scripted = await startScriptedOrigin({
    "*": [response("", { status: "302 Found", headers: { Location: `${inside.url}/a.jpg` } })],
  });
  const said = await examine([scripted.url, "a.jpg", "--allow-private"]);
  expect(said.findings.find(({ id }) => id === "image")?.found).toMatch(/origin_blocked/);
  expect(inside.connections).toBe(0);
  await Promise.all([scripted.close(), inside.close()]);
});

test.each([
  {
    why: "the address is private and --allow-private is missing",
    url: async (open: string) => open,
    code: "origin_blocked",
  },
  {
    why: "nobody listens on the port",
    url: async () => `http://127.0.0.1:${await freePort()}`,
    code: "origin_refused",
    flags: ["--allow-private"],
  },
  {
    why: "the host name does not exist",
    url: async () => "http://nowhere.invalid",
    code: /origin_(name_unknown|dns_failed)/,
  },
])("nothing is proposed when $why", async ({ url, code, flags = [] }) => {
  const scripted = await startScriptedOrigin({ "*": [response(jpeg)] });
  const said = await examine([await url(scripted.url), "a.jpg", ...flags]);
  expect(said.findings).toHaveLength(1);
  expect(said.findings[0]?.found).toMatch(code);
  expect([said.code, said.settings, scripted.connections]).toEqual([1, undefined, 0]);
  await scripted.close();
});

test("TLS: a self-signed certificate is a problem, and a trusted one is reported with its expiry", async () => {
  const pem = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
  const tls = { key: readFileSync(pem("key"), "utf8"), cert: readFileSync(pem("cert"), "utf8") };
  const scripted = await startScriptedOrigin(
    origin(async () => false),
    { tls },
  );
  const untrusted = await examine([scripted.url, "a.jpg", "--allow-private"]);
  expect(untrusted.findings[0]).toMatchObject({
    id: "connection",
    code: "origin_tls",
    severity: "problem",
    found: expect.stringMatching(/origin_tls/),
  });
  const trusted = await examine([scripted.url, "a.jpg", "--allow-private"], { NODE_EXTRA_CA_CERTS: pem("cert") });
  expect(trusted.findings.find(({ id }) => id === "tls")?.found).toMatch(
    /^TLSv1\.3, certificate by .*, valid until \d{4}-/,
  );
  await scripted.close();
});

test("an https origin whose port speaks plain http is told to write http://, and no certificate is blamed", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const [found, ...more] = (await examine([`https://127.0.0.1:${port}`, "a.jpg", "--allow-private"])).findings;
  expect(more).toEqual([]);
  expect(found).toEqual({
    id: "connection",
    code: "plain_http",
    severity: "problem",
    found: expect.stringMatching(/: write http:\/\/ \(/),
  });
  server.close();
});

test("the doctor ends within its time limit, whatever the origin does", async () => {
  const scripted = await startScriptedOrigin(async (_request, connection) => connection.hang());
  const doctors = ["1", "60"].map(async (seconds) => {
    const said = await examine([scripted.url, "a.jpg", "--allow-private", "--seconds", seconds]);
    return { seconds, last: said.findings.at(-1) };
  });
  expect(await Promise.race(doctors)).toMatchObject({ seconds: "1", last: { id: "time", severity: "warning" } });
  await scripted.close();
  await Promise.all(doctors);
});

test("origins with credentials are checked as the settings file names them, and no secret is shown", async () => {
  const scripted = await startScriptedOrigin(
    imageIs((to, { target, headers }) => {
      const isSigned =
        /[?&]token=AK:/.test(target) || headers.authorization === `Basic ${Buffer.from("u:s3cret").toString("base64")}`;
      return to.send(isSigned ? response(jpeg) : response("", { status: "401 Unauthorized" }));
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-doctor-"));
  const file = join(folder, "huiyuan.yaml");
  const origins = [
    { type: "qiniu", domain: scripted.url, private: true, accessKey: "AK", secretKey: "s3cret", allowPrivate: true },
    {
      type: "site",
      url: `${scripted.url}/.`.replace("/.", "/base"),
      basicAuth: { username: "u", password: "s3cret" },
      allowPrivate: true,
    },
  ];
  const buckets = [{ name: "photos", domains: [{ host: "*", mirror: { origins } }] }];
  const keys = [{ secretId: "AKID", secretKey: "k3y-0123456789" }];
  await writeFile(file, JSON.stringify({ projects: [{ appid: "10001234", keys, buckets }] }));
  const said = await loadedHuiyuan(["doctor", "--json", scripted.url, "a.jpg", "--config", file]);
  expect(JSON.parse(said.out).findings.find(({ id }: { id: string }) => id === "image")).toMatchObject({
    severity: "good",
  });
  expect(said.out + said.err).not.toMatch(/s3cret|token=/);
  const other = await loadedHuiyuan(["doctor", "http://other.example", "--config", file]);
  expect(other).toMatchObject({ code: 1, err: expect.stringContaining(`there are ${scripted.url}`) });
  await rm(folder, { recursive: true });
  await scripted.close();
});

test.each([
  { args: [], code: 2 },
  { args: ["ftp://x.example"], code: 1 },
  { args: ["http://u:p@x.example"], code: 1 },
  { args: ["http://169.254.169.254", "--allow-private"], code: 1 },
  { args: ["http://x.example", "http://y.example/a.jpg"], code: 1 },
  { args: ["http://x.example", "../a.jpg"], code: 1 },
  { args: ["http://x.example", "--seconds", "0"], code: 2 },
  { args: ["http://x.example", "--header", "novalue"], code: 2 },
  { args: ["http://x.example", "--header", "Range: bytes=0-1"], code: 1 },
  { args: ["http://x.example", ...Array.from({ length: 21 }, (_, index) => `${index}.jpg`)], code: 2 },
])("$args is refused with exit code $code and a message without a stack", async ({ args, code }) => {
  const ended = await loadedHuiyuan(["doctor", ...args]);
  expect(ended.code).toBe(code);
  expect(ended.err).toMatch(/\S/);
  expect(ended.err).not.toMatch(/\n\s+at /);
});
