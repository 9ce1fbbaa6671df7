// Stored images that become stale, through the whole program: one revalidation for all clients, replacement by new
// versions, stale responses while the origin fails, and Cache-Control for downstream caches.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  chunk,
  head,
  response,
  type ScriptedConnection,
  type ScriptedOrigin,
  type ScriptedRequest,
  startScriptedOrigin,
} from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { createLatch } from "../helpers/spools.ts";

type Answer = (request: ScriptedRequest, connection: ScriptedConnection) => void | Promise<void>;

const DAY = 86_400;
let jpeg: Buffer;
let other: Buffer;
/** The origin's current behaviour for each path. */
const answers = new Map<string, Answer>();
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  [jpeg, other] = await Promise.all([noisyJpeg(320, 240), noisyJpeg(240, 320)]);
  origin = await startScriptedOrigin((request, connection) => {
    const answer = answers.get(request.target);
    return answer === undefined
      ? connection.send(response("", { status: "404 Not Found" }))
      : answer(request, connection);
  });
  // `brief/` leaves no time for stale responses; everything else leaves an hour.
  const ttl = { mode: "ttl", ttl: "1s", staleIfError: "1h" };
  const rules = [
    { match: { prefix: "brief/" }, freshness: { staleIfError: "1s" } },
    { match: { prefix: "gone/" }, freshness: { onGone: "remove" } },
    { match: { prefix: "origin/" }, freshness: { mode: "origin" } },
    { match: { prefix: "never/" }, freshness: { mode: "never" } },
  ];
  installation = await install(
    oneBucket(mirrorOf(origin.url, { freshness: ttl, rules, breaker: { failures: 1_000 }, negativeTtl: "1s" })),
  );
  program = await installation.start();
});

afterAll(async () => {
  await program?.stop();
  await installation?.remove();
  await origin?.close();
});

const fetchPath = (path: string, more: Partial<GetOptions> = {}): Promise<GetResult> =>
  get({ port: program.downloadPort, path, ...more });
const requestsFor = (path: string) => origin.requests.filter(({ target }) => target === path);
const status = (result: GetResult) => String(result.headers["cache-status"]);

const purge = (name: string) => changeObjects(program.adminPort, "purge", { bucket: `${APPID}/photos`, names: [name] });

/** An image with an entity tag; a client that has it gets 304. */
function version(bytes: Buffer, etag: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return ({ headers: { "if-none-match": has } }, connection) =>
    has === etag
      ? connection.send(head("304 Not Modified", Object.entries({ ETag: etag, ...headers })))
      : connection.send(response(bytes, { headers: { ETag: etag, ...headers } }));
}

/** Stores the first version of a key; no fetch of the key is pending when this resolves. */
async function store(path: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  answers.set(path, version(jpeg, '"1"', headers));
  const first = await fetchPath(path);
  expect([first.status, first.body.equals(jpeg)]).toEqual([200, true]);
  // Fresh: a request for a stale object would cause one more fetch, which tests that count fetches would see.
  await until(path, (result) => status(result).includes("hit") && !isStale(result), "it is stored");
}

/** Retries until the response satisfies `holds`. */
async function until(path: string, holds: (result: GetResult) => boolean, what: string): Promise<GetResult> {
  let last: GetResult | undefined;
  await eventually(async () => {
    last = await fetchPath(path);
    return holds(last);
  }, `${path}: ${what}`);
  return last as GetResult; // Set by eventually().
}

const isStale = (result: GetResult) => /^huiyuan; hit; ttl=-\d+; detail=(memory|bucket)$/.test(status(result));

describe("mode ttl", () => {
  test("a stale image is revalidated with the origin's validators", async () => {
    await store("/a.jpg", { "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT" });
    const stale = await until("/a.jpg", isStale, "it is stale");
    expect(stale.body.equals(jpeg)).toBe(true);
    // No lifetime is left, whatever the bucket allows.
    expect([stale.headers["cache-control"], stale.headers.age]).toEqual(["public, max-age=0", undefined]);
    const fresh = await until("/a.jpg", (result) => !isStale(result), "it is fresh again");
    expect(fresh.headers["cache-control"]).toMatch(/^public, max-age=[01]$/);
    expect(fresh.headers.age).toBeUndefined();
    const [first, second] = requestsFor("/a.jpg");
    expect([first?.headers["if-none-match"], first?.headers["if-modified-since"]]).toEqual([undefined, undefined]);
    expect(second?.headers).toMatchObject({
      "if-none-match": '"1"',
      "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT",
    });
  });

  test("a hundred requests for a stale image cause one revalidation, and none waits for it", async () => {
    await store("/many.jpg");
    const before = requestsFor("/many.jpg").length;
    const latch = createLatch();
    answers.set("/many.jpg", async (request, connection) => {
      await latch.opened;
      await version(other, '"2"')(request, connection);
    });
    await until("/many.jpg", isStale, "it is stale");
    const all = await Promise.all(Array.from({ length: 100 }, () => fetchPath("/many.jpg")));
    expect(all.every((result) => isStale(result) && result.body.equals(jpeg))).toBe(true);
    expect(requestsFor("/many.jpg")).toHaveLength(before + 1);
    latch.open();
    await until("/many.jpg", ({ body }) => body.equals(other), "the new version is served");
  });

  test("HEAD and range requests are served from the stale object too, and revalidate it", async () => {
    await store("/part.jpg");
    await until("/part.jpg", isStale, "it is stale");
    await until("/part.jpg", (result) => !isStale(result), "it is fresh again");
    answers.set("/part.jpg", version(other, '"2"'));
    let part: GetResult | undefined;
    await eventually(async () => {
      part = await fetchPath("/part.jpg", { headers: { range: "bytes=0-9" } });
      return isStale(part);
    }, "a stale part");
    expect([part?.status, part?.body.equals(jpeg.subarray(0, 10))]).toEqual([206, true]);
    await eventually(async () => {
      const { headers } = await fetchPath("/part.jpg", { method: "HEAD" });
      return headers["content-length"] === String(other.byteLength);
    }, "HEAD sees the new version");
  });

  const kinds: readonly [name: string, answer: () => Answer][] = [
    ["an HTML page with 200", () => always(response("<html>We are moving</html>"))],
    ["no bytes", () => always(response(""))],
    ["half an image, then FIN", () => cut("FIN")],
    ["half an image, then RST", () => cut("RST")],
    ["chunks without the last one", () => chunked],
    ["half an image that ends with the connection", () => closing],
    [
      "a whole length without an end",
      () => always(response(Buffer.concat([other.subarray(0, -500), Buffer.alloc(500)]))),
    ],
    ["a wrong digest", () => always(response(other, { headers: { "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA==" } }))],
    [
      "an encoding that the request does not accept",
      () => always(response(other, { headers: { "Content-Encoding": "gzip" } })),
    ],
    ["a part", () => always(response(other, { status: "206 Partial Content" }))],
    ["500", () => always(response("", { status: "500 Internal Server Error" }))],
    ["404", () => always(response("", { status: "404 Not Found" }))],
    ["nothing at all", () => (_request, connection) => connection.end()],
  ];
  const always =
    (bytes: Buffer): Answer =>
    (_request, connection) =>
      connection.send(bytes);
  const cut =
    (how: "FIN" | "RST"): Answer =>
    async (_request, connection) => {
      await connection.send(response(other).subarray(0, -other.byteLength / 2));
      if (how === "FIN") connection.end();
      else connection.reset();
    };
  const chunked: Answer = async (_request, connection) => {
    await connection.send(head("200 OK", [["Transfer-Encoding", "chunked"]]));
    await connection.send(chunk(other));
    connection.end();
  };
  const closing: Answer = async (_request, connection) => {
    await connection.send(head("200 OK", [["Connection", "close"]]));
    await connection.send(other.subarray(0, other.byteLength / 2));
    connection.end();
  };

  const broken = kinds.map(([name, answer], index) => ({ name, answer, path: `/broken-${index}.jpg` }));
  test.each(broken)("a new version with $name never replaces the last good one", async ({ answer, path }) => {
    await store(path);
    answers.set(path, answer());
    const before = requestsFor(path).length;
    await until(path, () => requestsFor(path).length > before, "the origin gets a request");
    for (let times = 0; times < 30; times += 1) {
      const result = await fetchPath(path);
      expect([result.status, result.isWhole, result.body.equals(jpeg)]).toEqual([200, true, true]);
    }
  });

  test("the origin's 404 with onGone: remove removes the object", async () => {
    await store("/gone/a.jpg");
    answers.delete("/gone/a.jpg");
    const gone = await until("/gone/a.jpg", (result) => result.status === 404, "it is gone");
    expect(gone.headers["x-errno"]).toBe("-6101");
  });

  test.each([
    ["that has aged", async () => undefined],
    ["that was purged", purge],
  ])("a 304 with the tag of another version never confirms an image %s", async (_what, before) => {
    const path = `/never-renamed-${_what.length}.jpg`;
    await store(path);
    // The origin compares only the date at first, as one node of a mixed cluster may, and the tag from then on.
    const right = version(other, '"2"');
    let isFirst = true;
    const count = requestsFor(path).length;
    answers.set(path, (request, connection) => {
      if (!isFirst) return right(request, connection);
      isFirst = false;
      return connection.send(head("304 Not Modified", [["ETag", '"2"']]));
    });
    await before(path.slice(1));
    const now = await until(path, (result) => result.body.equals(other), "it is the new version");
    expect(now.status).toBe(200);
    const tags = requestsFor(path).map(({ headers }) => headers["if-none-match"]);
    expect(tags.slice(count, count + 2)).toEqual(['"1"', undefined]);
  });

  test("after staleIfError the client gets the origin's failure, and the next good response is stored", async () => {
    await store("/brief/a.jpg");
    answers.set("/brief/a.jpg", (_request, connection) => connection.end());
    const failed = await until("/brief/a.jpg", (result) => result.status !== 200, "no stale image may be served");
    expect([failed.status, failed.headers["x-errno"]]).toEqual([424, "-902"]);
    answers.set("/brief/a.jpg", version(other, '"2"'));
    const next = await until("/brief/a.jpg", (result) => result.status === 200, "the origin gets a request");
    expect([next.body.equals(other), status(next)]).toEqual([true, "huiyuan; fwd=stale; fwd-status=200"]);
  });

  test("a rule with mode never causes no revalidation, and the bucket's Cache-Control is sent unchanged", async () => {
    await store("/never/a.jpg");
    await store("/beside.jpg");
    await until("/beside.jpg", isStale, "its neighbour is stale");
    const result = await fetchPath("/never/a.jpg");
    expect(status(result)).toMatch(/^huiyuan; hit; detail=/);
    expect(result.headers["cache-control"]).toBe(`public, max-age=${DAY}`);
    expect(requestsFor("/never/a.jpg")).toHaveLength(1);
  });

  test("an object's age and validators survive a restart", async () => {
    await store("/kept.jpg");
    await program.stop();
    program = await installation.start();
    answers.set("/kept.jpg", version(other, '"2"'));
    const next = await until("/kept.jpg", ({ body }) => body.equals(other), "the new version is served");
    expect(next.status).toBe(200);
    expect(requestsFor("/kept.jpg")[1]?.headers["if-none-match"]).toBe('"1"');
    for (const { path } of broken) expect((await fetchPath(path)).body.equals(jpeg), path).toBe(true);
  });
});

describe("mode origin", () => {
  test("downstream caches get the rest of the origin's lifetime", async () => {
    await store("/origin/life.jpg", { "Cache-Control": "max-age=100", Age: "40" });
    const { headers } = await fetchPath("/origin/life.jpg");
    const left = Number(/^public, max-age=(\d+)$/.exec(String(headers["cache-control"]))?.[1]);
    expect(left).toBeGreaterThan(30);
    expect(left).toBeLessThanOrEqual(60);
    expect(headers.age).toBeUndefined();
    expect(requestsFor("/origin/life.jpg")).toHaveLength(1);
  });

  test("must-revalidate sends each request to the origin first, and nothing stale is served when it fails", async () => {
    const strict = { "Cache-Control": "max-age=0, must-revalidate" };
    answers.set("/origin/strict.jpg", version(jpeg, '"1"', strict));
    await fetchPath("/origin/strict.jpg");
    const again = await until(
      "/origin/strict.jpg",
      (result) => status(result) === "huiyuan; fwd=stale; fwd-status=304",
      "it is confirmed",
    );
    expect(again.body.equals(jpeg)).toBe(true);
    answers.set("/origin/strict.jpg", version(other, '"2"', strict));
    const changed = await fetchPath("/origin/strict.jpg");
    expect([changed.body.equals(other), status(changed)]).toEqual([true, "huiyuan; fwd=stale; fwd-status=200"]);
    answers.set("/origin/strict.jpg", (_request, connection) => connection.send(response("", { status: "503 No" })));
    const failed = await until("/origin/strict.jpg", (result) => result.status !== 200, "the origin fails");
    expect([failed.status, failed.headers["x-errno"]]).toEqual([424, "-120"]);
  });

  test.each(["no-store", "private"])("an image with %s is passed on, and no cache may store it", async (word) => {
    const path = `/origin/${word}.jpg`;
    answers.set(path, version(jpeg, '"1"', { "Cache-Control": word }));
    for (const time of [1, 2, 3]) {
      const result = await fetchPath(path);
      expect([result.status, result.body.equals(jpeg), result.headers["cache-control"]]).toEqual([
        200,
        true,
        "no-store",
      ]);
      expect(status(result)).toBe("huiyuan; fwd=uri-miss");
      expect(requestsFor(path)).toHaveLength(time);
    }
  });
});

test("after a second purge while the new version is being stored, that version is served when the origin fails", async () => {
  const path = "/never/twice.jpg";
  await store(path);
  answers.set(path, version(other, '"2"'));
  await purge("never/twice.jpg");
  expect((await fetchPath(path)).body.equals(other)).toBe(true);
  await purge("never/twice.jpg");
  answers.set(path, (_request, connection) => connection.send(response("", { status: "503 Service Unavailable" })));
  const after = await fetchPath(path);
  expect([after.status, after.body.equals(other), status(after)]).toEqual([
    200,
    true,
    "huiyuan; fwd=stale; detail=stale-if-error",
  ]);
});

test("a purged image served on an origin failure is not cacheable, not even in mode never", async () => {
  const path = "/never/purged.jpg";
  await store(path);
  const { etag } = (await fetchPath(path)).headers;
  await purge("never/purged.jpg");
  answers.set(path, (_request, connection) => connection.send(response("", { status: "503 Service Unavailable" })));
  const asks: readonly (readonly [number, Partial<GetOptions>])[] = [
    [200, {}],
    [200, { method: "HEAD" }],
    [206, { headers: { Range: "bytes=0-9" } }],
    [304, { headers: { "If-None-Match": String(etag) } }],
  ];
  for (const [code, how] of asks) {
    const result = await fetchPath(path, how);
    expect([result.status, status(result)]).toEqual([code, "huiyuan; fwd=stale; detail=stale-if-error"]);
    expect(result.headers["cache-control"]).toBe("public, max-age=0");
  }
  answers.set(path, version(jpeg, '"1"'));
  const confirmed = await until(path, (result) => !status(result).includes("stale"), "the origin has confirmed it");
  expect(confirmed.headers["cache-control"]).toBe(`public, max-age=${DAY}`);
});

test("an image that waits for the disk has its true age, is revalidated in time, and is served when the origin fails", async () => {
  const full = await install({
    ...oneBucket(mirrorOf(origin.url, { freshness: { mode: "ttl", ttl: "4s", staleIfError: "1h" } })),
    limits: { freeDisk: "900000GB" },
  });
  const running = await full.start();
  try {
    const path = "/full.jpg";
    const seen = async () => {
      const result = await get({ port: running.downloadPort, path });
      const which = result.body.equals(jpeg) ? "first" : result.body.equals(other) ? "second" : "neither";
      const left = Number(/max-age=(\d+)$/.exec(String(result.headers["cache-control"]))?.[1]);
      return [which, left < 3, status(result)];
    };
    answers.set(path, version(jpeg, '"1"'));
    expect(await seen()).toEqual(["first", false, "huiyuan; fwd=uri-miss; stored"]);
    answers.set(path, version(other, '"2"'));
    await eventually(async () => (await seen())[1] === true, "it grows older");
    expect(await seen()).toEqual(["first", true, "huiyuan; hit; detail=spool"]);
    await eventually(async () => (await seen())[0] === "second", "it is fetched again");
    answers.set(path, (_request, connection) => connection.send(response("", { status: "503 Service Unavailable" })));
    const helping = ["second", true, "huiyuan; fwd=stale; detail=stale-if-error"];
    await eventually(async () => String(await seen()) === String(helping), "it is served stale");
  } finally {
    await running.stop();
    await full.remove();
  }
});
