// Bad origin responses are never stored as good. The client gets a clear code or a broken connection, and the next good
// response repairs the key.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  chunk,
  head,
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { createLatch } from "../helpers/spools.ts";

interface Fault {
  readonly name: string;
  readonly script: (jpeg: Buffer) => Script;
  /** `broken`: no head, or a broken connection. `passed`: 200, whole, `no-store`. */
  readonly client: "broken" | "passed";
}

const length = (jpeg: Buffer) => ["Content-Length", String(jpeg.length)] as const;
const FAULTS: readonly Fault[] = [
  {
    name: "length short, FIN",
    client: "broken",
    script: (jpeg) => [head("200 OK", [length(jpeg)]), jpeg.subarray(0, jpeg.length / 2), "FIN"],
  },
  {
    name: "length short, RST",
    client: "broken",
    script: (jpeg) => [head("200 OK", [length(jpeg)]), jpeg.subarray(0, jpeg.length / 2), { pause: 50 }, "RST"],
  },
  {
    name: "no last chunk",
    client: "broken",
    script: (jpeg) => [head("200 OK", [["Transfer-Encoding", "chunked"]]), chunk(jpeg), "FIN"],
  },
  {
    name: "close-delimited, cut",
    client: "broken",
    script: (jpeg) => [head("200 OK", [["Connection", "close"]]), jpeg.subarray(0, jpeg.length / 2), "FIN"],
  },
  {
    name: "an HTML page",
    client: "broken",
    script: () => [
      response("<!doctype html><title>Please log in</title>", { headers: { "Content-Type": "image/jpeg" } }),
    ],
  },
  {
    name: "an empty body",
    client: "broken",
    script: () => [response("", { headers: { "Content-Type": "image/jpeg" } })],
  },
  { name: "status 500", client: "broken", script: () => [response("oops", { status: "500 Oops" })] },
  {
    name: "206 to a whole request",
    client: "broken",
    script: (jpeg) => [
      response(jpeg, {
        status: "206 Partial Content",
        headers: { "Content-Range": `bytes 0-${jpeg.length - 1}/${jpeg.length}` },
      }),
    ],
  },
  {
    name: "an image that is declared gzip",
    client: "broken",
    script: (jpeg) => [response(jpeg, { headers: { "Content-Encoding": "gzip" } })],
  },
  {
    name: "a gzip with bytes behind its end",
    client: "broken",
    script: (jpeg) => [
      response(Buffer.concat([gzipSync(jpeg), Buffer.from("garbage")]), { headers: { "Content-Encoding": "gzip" } }),
    ],
  },
  {
    name: "XML that is no SVG",
    client: "broken",
    script: () => [response("<Error><svg/></Error>", { headers: { "Content-Type": "image/svg+xml" } })],
  },
  {
    name: "a wrong MD5",
    client: "passed",
    script: (jpeg) => [
      response(jpeg, { headers: { "Content-MD5": createHash("md5").update("another").digest("base64") } }),
    ],
  },
  { name: "a JPEG without its end", client: "passed", script: (jpeg) => [response(jpeg.subarray(0, jpeg.length - 2))] },
];

/** Each kind of origin with the path that it requests for a key. */
const KINDS = [
  { kind: "site", origin: (url: string) => ({ type: "site", url }), pathOf: (key: string) => `/${key}` },
  {
    kind: "qiniu",
    origin: (domain: string) => ({ type: "qiniu", domain, private: true, accessKey: "AK", secretKey: "SK" }),
    pathOf: (key: string) => `/${key}`,
  },
  {
    kind: "s3",
    origin: (endpoint: string) => ({
      type: "s3",
      endpoint,
      bucket: "pictures",
      accessKeyId: "AK",
      secretAccessKey: "SK",
    }),
    pathOf: (key: string) => `/pictures/${key}`,
  },
] as const;

const mirrorOfKind = (origin: object, more: object = {}) => ({ origins: [{ ...origin, allowPrivate: true }], ...more });
const withoutQuery = (target: string) => target.split("?", 1)[0] ?? "";

/**
 * Returns the first response that does not stem from the previous failure. That failure is cached for half a second at
 * most, and its fill ends a moment after its client.
 */
async function repaired(port: number, path: string): Promise<GetResult> {
  let answer = await get({ port, path });
  await eventually(async () => {
    const isOld = !answer.isWhole && String(answer.headers["cache-status"]).includes("collapsed");
    if (answer.status !== 424 && !isOld) return true;
    answer = await get({ port, path });
    return false;
  }, `${path} is fetched again`);
  return answer;
}

const slug = (name: string) => `${name.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}.jpg`;

describe.each(KINDS)("broken origins of kind $kind", ({ origin: originAt, pathOf }) => {
  let jpeg: Buffer;
  let origin: ScriptedOrigin;
  let installation: Installation;
  let program: Program;
  const requestsFor = (key: string) =>
    origin.requests.filter(({ target }) => withoutQuery(target) === pathOf(key)).length;

  beforeAll(async () => {
    jpeg = await noisyJpeg(320, 240);
    const scripts = FAULTS.map(
      ({ name, script }) => [pathOf(slug(name)), { inTurn: [script(jpeg), [response(jpeg)]] }] as const,
    );
    origin = await startScriptedOrigin(Object.fromEntries(scripts), { nameOf: withoutQuery });
    installation = await install(
      oneBucket(
        mirrorOfKind(originAt(origin.url), {
          timeouts: { connect: "500ms", firstByte: "1s", idle: "1s", total: "5s" },
        }),
      ),
    );
    program = await installation.start();
  });
  afterAll(async () => {
    await program?.stop();
    await origin?.close();
    await installation?.remove();
  });

  test.each(FAULTS)("$name is not stored, and the next good response repairs the key", async ({ name, client }) => {
    const key = slug(name);
    const bad = await get({ port: program.downloadPort, path: `/${key}` });
    if (client === "passed") {
      expect([bad.status, bad.isWhole, bad.headers["cache-control"], bad.headers["x-errno"]]).toEqual([
        200,
        true,
        "no-store",
        "-120",
      ]);
    } else if (bad.status === 200) {
      expect(bad.isWhole).toBe(false);
    } else {
      expect([bad.status, bad.headers["x-errno"], bad.headers["x-request-id"]]).toEqual([
        424,
        "-120",
        expect.any(String),
      ]);
      expect(JSON.parse(bad.body.toString())).toMatchObject({ code: -120, requestId: bad.headers["x-request-id"] });
    }
    const before = requestsFor(key);
    const good = await repaired(program.downloadPort, `/${key}`);
    expect([good.status, good.isWhole, good.body.equals(jpeg)]).toEqual([200, true, true]);
    expect(requestsFor(key)).toBe(before + 1);
    await eventually(async () => {
      const third = await get({ port: program.downloadPort, path: `/${key}` });
      expect([third.status, third.body.equals(jpeg)]).toEqual([200, true]);
      return /hit/.test(String(third.headers["cache-status"]));
    }, `${key} is stored`);
    expect(requestsFor(key)).toBe(before + 1);
  });

  test("a wrong MD5 found after the head was sent breaks the connection, and the next good response repairs the key", async () => {
    const wrong = createHash("md5").update("another").digest("base64");
    const clientHasHead = createLatch();
    const late = await startScriptedOrigin(async (_request, connection) => {
      if (late.requests.length > 1) return connection.send(response(jpeg));
      await connection.send(head("200 OK", [length(jpeg), ["Content-MD5", wrong]]));
      await connection.send(jpeg.subarray(0, 1_000));
      await clientHasHead.opened;
      return connection.send(jpeg.subarray(1_000));
    });
    const other = await install(oneBucket(mirrorOfKind(originAt(late.url))));
    const server = await other.start();
    try {
      const bad = await get({ port: server.downloadPort, path: "/late.jpg", onHead: clientHasHead.open });
      expect([bad.status, bad.isWhole, bad.body.length < jpeg.length]).toEqual([200, false, true]);
      const good = await repaired(server.downloadPort, "/late.jpg");
      expect([good.status, good.isWhole, good.body.equals(jpeg)]).toEqual([200, true, true]);
    } finally {
      await server.stop();
      await late.close();
      await other.remove();
    }
  });
});

describe("a small image that is checked whole before the first byte is sent, although no memory is left", () => {
  test("is passed on marked as damaged, as with memory, if its MD5 is wrong or its end is missing", async () => {
    const jpeg = await noisyJpeg(64, 48);
    const md5 = createHash("md5").update("another").digest("base64");
    const origin = await startScriptedOrigin({
      "/wrong.jpg": [response(jpeg, { headers: { "Content-MD5": md5 } })],
      "/no-end.jpg": [response(jpeg.subarray(0, -2))],
    });
    const installation = await install(oneBucket(mirrorOf(origin.url), {}, { limits: { spoolMemory: "0" } }));
    const program = await installation.start();
    try {
      const seen = async (path: string) => {
        const { status, isWhole, headers } = await get({ port: program.downloadPort, path });
        return [status, isWhole, headers["x-errno"], headers["cache-control"]];
      };
      expect(await seen("/wrong.jpg")).toEqual([200, true, "-120", "no-store"]);
      expect(await seen("/no-end.jpg")).toEqual([200, true, "-120", "no-store"]);
    } finally {
      await program.stop();
      await origin.close();
      await installation.remove();
    }
  });
});
