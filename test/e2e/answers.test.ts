// Edge cases of single responses on the wire: ranges of unverified bodies, damage on disk, old clients, cacheability,
// and the log lines of these responses.
import { readdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeToken } from "../../src/serve/sign/token.ts";
import { type GetOptions, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import { chunk, head, response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { blobWith, damageBlob, readSha256 } from "../helpers/stored-blobs.ts";

const PAGE = "<!doctype html><title>Nothing here</title>";
const WRONG_MD5 = [["Content-MD5", Buffer.alloc(16).toString("base64")]] as const;
const FRIENDS = ["https://a.example", "https://b.example"];
const HOST = {
  any: "any.example",
  mirrorless: "mirrorless.example",
  eager: "eager.example",
  shared: "shared.example",
  once: "once.example",
} as const;

let jpeg: Buffer;
let other: Buffer;
let large: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
const requestsFor = (target: string) => origin.requests.filter((request) => request.target === target).length;

function settings(): object {
  const mirror = mirrorOf(origin.url);
  const signed = { token: "required" };
  return {
    server: { accessLog: "all" },
    limits: { hotObjectSize: "1KB" },
    projects: [
      {
        appid: APPID,
        keys: [KEYS[0]],
        buckets: [
          {
            name: "photos",
            cors: FRIENDS,
            notFound: { file: "./404.html" },
            domains: [
              { host: "*", mirror },
              { host: HOST.mirrorless },
              { host: HOST.eager, mirror: mirrorOf(origin.url, { negativeTtl: "0s" }) },
            ],
          },
          { name: "shared", ...signed, signedCacheControl: "shared", domains: [{ host: HOST.shared, mirror }] },
          { name: "once", ...signed, oneTimeDownloads: "once", domains: [{ host: HOST.once, mirror }] },
        ],
      },
    ],
  };
}

const slowBody = (target: string) => (target.startsWith("/slow-left") ? large : jpeg);

beforeAll(async () => {
  [jpeg, other, large] = await Promise.all([noisyJpeg(640, 480), noisyJpeg(480, 640), noisyJpeg(1_200, 900)]);
  origin = await startScriptedOrigin(async ({ target, method }, connection) => {
    const chunked = ["Transfer-Encoding", "chunked"] as const;
    if (target.startsWith("/gone")) return connection.send(response("", { status: "404 Not Found" }));
    if (method === "HEAD") return connection.send(head("405 Method Not Allowed", [["Content-Length", "0"]]));
    if (target.startsWith("/other")) return connection.send(response(other));
    if (target.startsWith("/large")) return connection.send(response(large));
    if (target.startsWith("/md5")) {
      await connection.send(head("200 OK", [chunked, ...WRONG_MD5]));
    } else if (target.startsWith("/chunked")) {
      await connection.send(head("200 OK", [chunked]));
    } else if (target.startsWith("/slow")) {
      const wrong = target.startsWith("/slow-md5") ? WRONG_MD5 : [];
      // A response whose rest fits into the socket's buffer (64 KiB on Node 24) ends even if its client has left.
      const body = slowBody(target);
      await connection.send(head("200 OK", [["Content-Length", String(body.length)], ...wrong]));
      await connection.send(body.subarray(0, 20_000));
      await connection.pause(500);
      return connection.send(body.subarray(20_000));
    } else {
      return connection.send(response(jpeg));
    }
    await connection.send(chunk(jpeg.subarray(0, 20_000)));
    await connection.pause(20);
    await connection.send(chunk(jpeg.subarray(20_000)));
    return connection.send(chunk(""));
  });
  installation = await install(settings());
  await writeFile(join(installation.folder, "404.html"), PAGE);
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const ask = (path: string, options: Partial<GetOptions> = {}) => get({ port: program.downloadPort, path, ...options });

let random = 0;
/** A token; without a lifetime it is valid for one use of one file. */
function token(bucket: string, fileid: string, lifeSeconds?: number): string {
  const issuedAt = Math.floor(Date.now() / 1_000) - 10;
  random += 1;
  const expires = lifeSeconds === undefined ? 0 : issuedAt + 10 + lifeSeconds;
  const fields = { appid: APPID, bucket, secretId: KEYS[0].secretId, expires, issuedAt, random, userid: "0", fileid };
  return makeToken(fields, KEYS[0].secretKey);
}
const signed = (path: string, sign: string) => `${path}?sign=${encodeURIComponent(sign)}`;

/** Retries until the bucket serves the response. */
async function stored(path: string, options: Partial<GetOptions> = {}): Promise<void> {
  await eventually(
    async () => /detail=(bucket|memory)/.test(String((await ask(path, options)).headers["cache-status"])),
    `${path} is stored`,
  );
}

describe("garbage behind a request", () => {
  /** All bytes received for `first`, when `then` is sent after the first bytes of the response have arrived. */
  function pipelined(first: string, then: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const socket = connect(program.downloadPort, "127.0.0.1");
      const parts: Buffer[] = [];
      socket.setTimeout(10_000, () => reject(new Error("the connection was not closed")));
      socket.on("data", (part) => {
        if (parts.push(part) === 1) socket.write(then);
      });
      socket.on("error", () => {}); // A `close` event follows.
      socket.on("close", () => resolve(Buffer.concat(parts)));
      socket.write(first);
    });
  }

  const GARBAGE = "\u0016\u0003 GARBAGE\r\n\r\n";
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${HOST.any}\r\n\r\n`;

  /** Splits a response into its head and the bytes after it. */
  function parted(received: Buffer): [string, Buffer] {
    const bodyAt = received.indexOf("\r\n\r\n") + 4;
    return [received.toString("latin1", 0, bodyAt), received.subarray(bodyAt)];
  }

  test.each([
    ["in the lane of plain requests", "/slow-lane.jpg", ""],
    // An empty line before the request is allowed, but the fast path does not serve it.
    ["where node's server answers", "/slow-garbage.jpg", "\r\n"],
  ])("gets its response after the whole image, %s", async (_where, path, before) => {
    const [head, rest] = parted(await pipelined(`${before}${request(path)}`, GARBAGE));
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(rest.subarray(0, jpeg.length).equals(jpeg)).toBe(true);
    expect(rest.toString("latin1", jpeg.length)).toMatch(/^HTTP\/1\.1 400 .*^Connection: close\r$/ms);
    await stored(path);
    expect(requestsFor(path)).toBe(1);
  });
});

describe("a range request for a key that the bucket lacks", () => {
  test("gets the bytes of a chunked body with a wrong Content-MD5, marked as damaged and not cacheable", async () => {
    const part = await ask("/md5-one.jpg", { headers: { Range: "bytes=10-19" } });
    expect([part.status, part.headers["content-range"], part.body.equals(jpeg.subarray(10, 20))]).toEqual([
      206,
      `bytes 10-19/${jpeg.length}`,
      true,
    ]);
    expect([part.headers["cache-control"], part.headers["x-errno"], part.headers.etag]).toEqual([
      "no-store",
      "-120",
      undefined,
    ]);
    await ask("/md5-one.jpg");
    expect(requestsFor("/md5-one.jpg")).toBe(2);
  });

  test.each([
    ["the end, in the lane of plain requests", "end", ""],
    ["a part before the end, in the lane of plain requests", "part", ""],
    ["the end, where node's server answers", "end", "\r\n"],
  ] as const)("gets 424 when the body does not match its Content-MD5, %s", async (_what, which, before) => {
    const path = `/slow-md5-${which}${before.length}.jpg`;
    const range = which === "end" ? "-100" : `${jpeg.length - 200}-${jpeg.length - 101}`;
    const headers = [`Host: ${HOST.any}`, `Origin: ${FRIENDS[0]}`, `Range: bytes=${range}`].join("\r\n");
    const answer = await sendRaw(program.downloadPort, `${before}GET ${path} HTTP/1.1\r\n${headers}\r\n\r\n`);
    expect(answer.status).toBe(424);
    expect(answer.head).toMatch(/^X-ErrNo: -120\r$/m);
    expect(answer.head).toMatch(/^Cache-Control: no-store\r$/m);
    expect(answer.head).toMatch(/^Access-Control-Allow-Origin: https:\/\/a\.example\r$/m);
    expect(answer.head).not.toMatch(/^(Content-Range|Accept-Ranges):/im);
    expect(JSON.parse(answer.body)).toMatchObject({ code: -120 });
    const line = program.output.split("\n").find((each) => each.includes('"msg":"download"') && each.includes(path));
    expect(JSON.parse(line ?? "{}")).toMatchObject({ status: 424, outcome: "error", code: "origin_hash_wrong" });
  });

  test("lets a concurrent HEAD be answered from the fetched head, and a 424 does not spend a one-time token", async () => {
    const path = "/slow-md5-once.jpg";
    const once = signed(path, token("once", path.slice(1)));
    const options = { host: HOST.once, headers: { Range: "bytes=-100" } };
    const [refused, seen] = await Promise.all([
      ask(once, options),
      ask(signed(path, token("once", path.slice(1), 60)), { host: HOST.once, method: "HEAD" }),
    ]);
    expect([refused.status, seen.status]).toEqual([424, 200]);
    expect((await ask(once, options)).status).toBe(424);
  });

  test("for several ranges of an unverified body gets the whole body", async () => {
    const answer = await ask("/md5-several.jpg", { headers: { Range: "bytes=0-9,20-29" } });
    expect([answer.status, answer.isWhole, answer.body.equals(jpeg), answer.headers["cache-control"]]).toEqual([
      200,
      true,
      true,
      "no-store",
    ]);
  });

  test.each(["/several.jpg", "/slow-several.jpg", "/chunked-several.jpg"])(
    "for several ranges of %s gets the whole image, from the origin and from the bucket",
    async (path) => {
      const headers = { Range: "bytes=0-9,-10,20000-20009" };
      const cold = await ask(path, { headers });
      await stored(path);
      const warm = await ask(path, { headers });
      for (const { status, body, headers: said } of [cold, warm])
        expect([status, body.equals(jpeg), said["content-range"]]).toEqual([200, true, undefined]);
      expect(requestsFor(path)).toBe(1);
    },
  );
});

describe("a conditional request for a key that the bucket lacks", () => {
  const OLD = "Sat, 01 Jan 2000 00:00:00 GMT";
  const range = { Range: "bytes=30000-30009" };

  test.each([
    ["If-Match", '"another"'],
    ["If-Unmodified-Since", OLD],
  ])("gets 412 and no part of this version when %s names another version", async (name, value) => {
    for (const path of ["/slow", "/chunked", "/md5"]) {
      const answer = await ask(`${path}-412-${name}.jpg`, { headers: { ...range, [name]: value } });
      expect([answer.status, answer.headers["x-errno"]]).toEqual([412, "-103"]);
    }
    const whole = await ask(`/slow-412-whole-${name}.jpg`, { headers: { [name]: value } });
    expect(whole.status).toBe(412);
  });

  test("gets the part with its ETag when If-Match and If-Unmodified-Since name this version", async () => {
    await stored("/match.jpg");
    const { etag } = (await ask("/match.jpg")).headers;
    const later = new Date(Date.now() + 60_000).toUTCString();
    for (const [path, condition] of [
      ["/slow-match.jpg", { "If-Match": `"another", ${etag}` }],
      ["/slow-unmodified.jpg", { "If-Unmodified-Since": later }],
    ] as const) {
      const answer = await ask(path, { headers: { ...range, ...condition } });
      expect([answer.status, answer.headers.etag, answer.body.equals(jpeg.subarray(30_000, 30_010))]).toEqual([
        206,
        etag,
        true,
      ]);
      expect(requestsFor(path)).toBe(1);
    }
  });

  test("succeeds at once with If-Match: *", async () => {
    const headers = { Range: "bytes=0-9", "If-Match": "*", "If-Unmodified-Since": OLD };
    const answer = await ask("/slow-any.jpg", { headers });
    expect([answer.status, answer.headers.etag, answer.body.equals(jpeg.subarray(0, 10))]).toEqual([
      206,
      undefined,
      true,
    ]);
  });
});

test("an HTTP/1.0 client gets the whole body with its length, whatever the origin's framing", async () => {
  for (const path of ["/chunked-old.jpg", "/slow-old.jpg", "/md5-old.jpg", "/old.jpg"]) {
    const answer = await sendRaw(program.downloadPort, `GET ${path} HTTP/1.0\r\nHost: ${HOST.any}\r\n\r\n`);
    expect([path, answer.status, /^Content-Length: (\d+)/im.exec(answer.head)?.[1]]).toEqual([
      path,
      200,
      String(jpeg.length),
    ]);
    expect(answer.head).not.toMatch(/^Transfer-Encoding/im);
    expect(Buffer.from(answer.body, "latin1").equals(jpeg)).toBe(true);
  }
});

/** Small images are stored in packs, large ones in files of their own. */
const DAMAGED = [
  { where: "in a pack", path: "/other-damaged.jpg", bytes: () => other, isPacked: true },
  { where: "in a file of its own", path: "/large-damaged.jpg", bytes: () => large, isPacked: false },
];

test.each(DAMAGED)(
  "a damaged object $where is fetched again, and spends a one-time token only once",
  async ({ path, bytes, isPacked }) => {
    const host = HOST.once;
    const lasting = () => signed(path, token("once", path.slice(1), 60));
    await stored(lasting(), { host });
    expect(requestsFor(path)).toBe(1);
    const blob = blobWith(installation.data, bytes());
    expect(blob.pack !== undefined).toBe(isPacked);
    damageBlob(blob, 5_000);
    const sign = token("once", path.slice(1));
    const repaired = await ask(signed(path, sign), { host });
    const isRight = repaired.body.equals(bytes());
    expect([repaired.status, repaired.isWhole, isRight, requestsFor(path)]).toEqual([200, true, true, 2]);
    const again = await ask(signed(path, sign), { host });
    expect([again.status, again.headers["x-errno"]]).toEqual([403, "-77"]);
    await stored(lasting(), { host });
    expect(requestsFor(path)).toBe(2);
    // The catalogue points to the good bytes, and the damaged ones are kept for inspection.
    expect(readSha256(blobWith(installation.data, bytes()))).toBe(blob.sha256);
    const kept = await readdir(join(installation.data, "quarantine"));
    expect(kept.filter((name) => name.startsWith(`${blob.sha256}.`))).toHaveLength(1);
  },
);

describe("settings of a bucket and its domains", () => {
  test("notFound serves the bucket's own page with the error code, and HEAD gets its length", async () => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask("/gone-page.jpg", { method });
      expect([answer.status, answer.headers["x-errno"], answer.headers["content-length"]]).toEqual([
        404,
        "-6101",
        String(PAGE.length),
      ]);
      expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
      expect(answer.body.toString()).toBe(method === "GET" ? PAGE : "");
    }
  });

  test("notFound: GET / still says that this is an image mirror", async () => {
    const { status, body } = await ask("/");
    expect([status, JSON.parse(body.toString()).message]).toEqual([404, expect.stringContaining("image mirror")]);
  });

  test("cors lets a listed origin read and no other, and adds Vary for caches", async () => {
    await stored("/cors.jpg");
    for (const path of ["/cors.jpg", "/gone-cors.jpg"]) {
      const said = async (headers: Record<string, string>, method = "GET") => {
        const answer = await ask(path, { headers, method });
        return [answer.headers["access-control-allow-origin"], answer.headers.vary];
      };
      expect(await said({ Origin: "https://b.example" })).toEqual(["https://b.example", "Origin"]);
      expect(await said({ Origin: "https://evil.example" })).toEqual([undefined, "Origin"]);
      expect(await said({})).toEqual([undefined, "Origin"]);
      expect(await said({ Origin: "https://a.example" }, "OPTIONS")).toEqual(["https://a.example", "Origin"]);
    }
  });

  test("signedCacheControl: shared lets a CDN cache a signed response for as long as the token is valid", async () => {
    const path = signed("/shared.jpg", token("shared", "shared.jpg", 600));
    await stored(path, { host: HOST.shared });
    const answer = await ask(path, { host: HOST.shared });
    const seconds = /^public, max-age=(\d+)$/.exec(String(answer.headers["cache-control"]))?.[1];
    expect(Number(seconds)).toBeGreaterThan(500);
    expect(Number(seconds)).toBeLessThanOrEqual(600);
  });

  test("token: off ignores a token, valid or not, and keeps it out of the key", async () => {
    await stored("/open.jpg");
    for (const sign of ["garbage", token("once", "another.jpg", -5)]) {
      const answer = await ask(signed("/open.jpg", sign));
      expect([answer.status, answer.headers["cache-control"]]).toEqual([200, "public, max-age=86400"]);
    }
    expect(origin.requests.filter(({ target }) => target.startsWith("/open.jpg"))).toHaveLength(1);
  });

  test("a domain without a mirror never fetches, and serves objects that another domain has stored", async () => {
    const host = HOST.mirrorless;
    const missing = await ask("/brought.jpg", { host });
    expect([missing.status, missing.headers["x-errno"], requestsFor("/brought.jpg")]).toEqual([404, "-6101", 0]);
    await stored("/brought.jpg");
    expect((await ask("/brought.jpg", { host })).body.equals(jpeg)).toBe(true);
    expect(requestsFor("/brought.jpg")).toBe(1);
  });

  test("a default domain uses the mirror of its bucket's domain for any host, or none", async () => {
    const photos = await ask("/default.jpg", { host: `photos-${APPID}.localhost` });
    expect([photos.status, photos.body.equals(jpeg)]).toEqual([200, true]);
    const path = signed("/default-once.jpg", token("once", "default-once.jpg", 60));
    const once = await ask(path, { host: `once-${APPID}.localhost` });
    expect([once.status, once.headers["x-errno"], requestsFor("/default-once.jpg")]).toEqual([404, "-6101", 0]);
  });

  test("negativeTtl: 0s sends every request for a missing image to the origin", async () => {
    for (const count of [1, 2, 3]) {
      expect((await ask("/gone-eager.jpg", { host: HOST.eager })).status).toBe(404);
      expect(requestsFor("/gone-eager.jpg")).toBe(count);
    }
  });
});

describe("the log", () => {
  const lines = () =>
    program.output
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const lineOf = async (word: string) => {
    const find = () => lines().find(({ msg, url }) => msg === "download" && String(url).includes(word));
    await eventually(() => find() !== undefined, `the line of ${word} is written`);
    return find();
  };

  test("an access log line has no token, and names the client even after it has disconnected", async () => {
    const sign = token("shared", "logged.jpg", 60);
    await ask(signed("/logged.jpg", sign), { host: HOST.shared });
    expect(await lineOf("/logged.jpg")).toMatchObject({
      url: "/logged.jpg?sign=…",
      client: "127.0.0.1",
      status: 200,
      outcome: "miss",
      bucket: `${APPID}/shared`,
    });
    await ask("/slow-left.jpg", { leaveAfter: 1 });
    expect(await lineOf("/slow-left.jpg")).toMatchObject({ client: "127.0.0.1", code: "client_gone" });
    const secrets = [sign.slice(0, 20), encodeURIComponent(sign).slice(0, 20), KEYS[0].secretKey];
    expect(secrets.filter((secret) => program.output.includes(secret))).toEqual([]);
  });

  test("forty concurrent fetches cause no warning", async () => {
    const paths = Array.from({ length: 40 }, (_, index) => `/slow-many-${index}.jpg`);
    const answers = await Promise.all(paths.map((path) => ask(path)));
    expect(answers.every(({ status, isWhole }) => status === 200 && isWhole)).toBe(true);
    expect(program.output.match(/.*Warning.*/g)).toBeNull();
  });
});
