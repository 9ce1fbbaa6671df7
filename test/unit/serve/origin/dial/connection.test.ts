// Tests that unrequested bytes of an origin are not stored as the response to another request.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CancellationSource } from "../../../../../src/async/cancellation.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { ConnectionTrust, DISTRUST_MS, Trust } from "../../../../../src/serve/origin/dial/connection.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { mirrorLab } from "../../../../helpers/mirror-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { ask, codeOf, fetchWhole, siteAt } from "../../../../helpers/site-under-test.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Surplus {
  readonly bytes: Uint8Array;
  /**
   * Sent after the response to the first request; 0: in the same packet. Undefined: once the next request has arrived.
   */
  readonly afterMs: number | undefined;
}

/** Each path has its own image. The unrequested bytes follow the first response. */
async function lab({ bytes, afterMs }: Surplus, pictures: ReadonlyMap<string, Buffer>) {
  const lines: string[] = [];
  const origin: ScriptedOrigin = await startScriptedOrigin(async ({ target }, connection) => {
    const answer = response(pictures.get(target) ?? Buffer.alloc(0));
    const asked = origin.requests.length;
    if (asked === 1 && afterMs === 0) return connection.send(Buffer.concat([answer, bytes]));
    if (asked === 2 && afterMs === undefined) {
      await connection.send(bytes);
      await connection.pause(10);
    }
    await connection.send(answer);
    if (asked === 1 && afterMs !== undefined) {
      await connection.pause(afterMs);
      await connection.send(bytes);
    }
  });
  const warn = (_about: object, text: string) => void lines.push(text);
  const site = siteAt(origin.url, { connections: 1, log: { ...SILENT_LOG, warn } });
  closers.push(
    () => site.close(),
    () => origin.close(),
  );
  return { origin, site, lines };
}

const ALIEN = await noisyJpeg(90, 60);
const PICTURES = new Map([
  ["/first.jpg", await noisyJpeg(100, 80)],
  ["/second.jpg", await noisyJpeg(120, 90)],
  ["/third.jpg", await noisyJpeg(80, 60)],
  ["/fourth.jpg", await noisyJpeg(60, 60)],
]);
const picture = (name: string) => PICTURES.get(`/${name}.jpg`) as Buffer;

const CASES: readonly (readonly [string, Surplus])[] = [
  ["a body in the same packet", { bytes: ALIEN, afterMs: 0 }],
  ["a whole response in the same packet", { bytes: response(ALIEN), afterMs: 0 }],
  ["a body 1 ms later", { bytes: ALIEN, afterMs: 1 }],
  ["a whole response 1 ms later", { bytes: response(ALIEN), afterMs: 1 }],
  ["a body 20 ms later", { bytes: ALIEN, afterMs: 20 }],
  ["a whole response 20 ms later", { bytes: response(ALIEN), afterMs: 20 }],
  ["a body when the next request has arrived", { bytes: ALIEN, afterMs: undefined }],
  ["a whole response when the next request has arrived", { bytes: response(ALIEN), afterMs: undefined }],
  [
    "a 404 when the next request has arrived",
    { bytes: head("404 Not Found", [["Content-Length", "0"]]), afterMs: undefined },
  ],
];

test.each(CASES)("after a response %s: nothing stays stored under another key", async (_name, surplus) => {
  const { origin, site, lines } = await lab(surplus, PICTURES);
  const mirror = mirrorLab({ origins: [site] });
  const asked = ["first", "second", "third"].map((name) => mirror.fetch(`${name}.jpg`).catch(() => undefined));
  await Promise.all(asked);
  await eventually(async () => lines.length > 0, "the origin is caught");
  await mirror.settled();
  expect(lines).toHaveLength(1);
  for (const name of ["first", "second", "third", "fourth"]) {
    const sizes = [undefined, picture(name).length];
    const isRight = async () => sizes.includes((await mirror.object(`${name}.jpg`))?.size);
    await eventually(isRight, `nothing but its own picture is stored under ${name}`);
  }
  // From now on each request uses its own connection.
  const connections = origin.connections;
  for (const name of ["third", "fourth", "second"]) {
    expect((await fetchWhole(site, `${name}.jpg`)).bytes).toEqual(picture(name));
  }
  expect(origin.connections).toBe(connections + 3);
  expect(origin.requests.at(-1)?.headers.connection).toBe("close");
});

test("bytes that are not a response cost the next request one retry", async () => {
  const { site } = await lab({ bytes: ALIEN, afterMs: undefined }, PICTURES);
  const both = await Promise.all(["first", "second"].map((name) => fetchWhole(site, `${name}.jpg`)));
  expect(both.map(({ bytes }) => bytes)).toEqual([picture("first"), picture("second")]);
});

test("a malformed first response costs its request an error, and its origin no keep-alive", async () => {
  const malformed = await startScriptedOrigin((_request, connection) => connection.send("just bytes, no head\r\n\r\n"));
  const warned: string[] = [];
  const site = siteAt(malformed.url, { log: { ...SILENT_LOG, warn: (_about, text) => void warned.push(text) } });
  closers.push(
    () => site.close(),
    () => malformed.close(),
  );
  expect(await codeOf(site.fetch(ask("a.jpg")))).toBe("origin_head_invalid");
  expect(warned).toEqual([]);
});

test("the retry gets a new connection, whatever other requests wait for one", async () => {
  const origin = await startScriptedOrigin(({ target }, connection) => {
    if (target === "/no-http.jpg") return connection.send("just bytes, no head\r\n\r\n");
    return connection.pause(20).then(() => connection.send(response(PICTURES.get(target) ?? "")));
  });
  const site = siteAt(origin.url, { connections: 4 });
  closers.push(
    () => site.close(),
    () => origin.close(),
  );
  const names = ["first", "second", "third", "fourth"];
  const fetchAll = () => Promise.all(names.map((name) => fetchWhole(site, `${name}.jpg`)));
  await fetchAll();
  expect(origin.connections).toBe(4);
  const [code, others] = await Promise.all([codeOf(site.fetch(ask("no-http.jpg"))), fetchAll()]);
  expect(code).toBe("origin_head_invalid");
  expect(others.map(({ bytes }) => bytes)).toEqual(names.map(picture));
  const tries = origin.requests.filter(({ target }) => target === "/no-http.jpg");
  expect(tries.map(({ connection }) => connection >= 4)).toEqual([false, true]);
  // Connections that were idle then are not used again.
  await origin.closedDownTo(0);
});

/**
 * Its first connection contains two responses and is then reset, as a kernel resets a connection with an unread
 * request.
 */
async function unreading(): Promise<{ readonly url: string; readonly requests: string[] }> {
  const requests: string[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    const isFirst = connections++ === 0;
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const target = bytes.toString("latin1").split(" ")[1] ?? "";
      requests.push(target);
      if (isFirst && requests.length === 2) socket.write(response(ALIEN), () => socket.resetAndDestroy());
      else socket.write(response(PICTURES.get(target) ?? ""));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

test("a response followed by a reset, which may belong to no request, does not stay stored", async () => {
  const origin = await unreading();
  const site = siteAt(origin.url, { connections: 1 });
  closers.unshift(() => site.close());
  const mirror = mirrorLab({ origins: [site] });
  expect(await mirror.fetch("first.jpg")).toEqual(picture("first"));
  expect(await mirror.fetch("second.jpg")).toEqual(ALIEN);
  await mirror.settled();
  await eventually(async () => (await mirror.object("second.jpg")) === undefined, "the alien one has gone");
  expect(await mirror.fetch("second.jpg")).toEqual(picture("second"));
  expect(await mirror.fetch("third.jpg")).toEqual(picture("third"));
  await mirror.settled();
  expect((await mirror.object("first.jpg"))?.size).toBe(picture("first").length);
  expect((await mirror.object("second.jpg"))?.size).toBe(picture("second").length);
  expect(origin.requests).toEqual(["/first.jpg", "/second.jpg", "/second.jpg", "/third.jpg"]);
});

test("an origin with one response for each request keeps its connection", async () => {
  const origin = await startScriptedOrigin(({ target }, connection) =>
    connection.send(response(PICTURES.get(target) ?? "")),
  );
  const site: Origin = siteAt(origin.url, { connections: 1 });
  closers.push(
    () => site.close(),
    () => origin.close(),
  );
  for (const name of ["first", "second", "third", "fourth"]) {
    expect((await fetchWhole(site, `${name}.jpg`)).bytes).toEqual(picture(name));
  }
  expect(origin.connections).toBe(1);
});

describe("ConnectionTrust", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
  afterEach(() => void vi.useRealTimers());

  const surplus = new Error("bad response");
  const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });

  function watched() {
    let lost = 0;
    const trust = new Trust(() => {
      lost += 1;
    });
    const connection = new ConnectionTrust(trust);
    const answer = () => {
      const desync = new CancellationSource();
      connection.responseStarted(desync);
      connection.responseEnded();
      return desync;
    };
    const isLost = () => performance.now() < trust.lostUntil;
    return { connection, answer, isLost, lost: () => lost };
  }
  const reported = (answers: readonly CancellationSource[]) => answers.map(({ aborted }) => aborted);

  test("reports the responses since its last long idle time, except its first one", () => {
    const { connection, answer, isLost, lost } = watched();
    const [first, early] = [answer(), answer()];
    vi.advanceTimersByTime(6_000);
    const late = [answer(), answer()];
    vi.advanceTimersByTime(6_000);
    connection.brokeWhileIdle(surplus); // a server that says 408 and closes
    expect(isLost()).toBe(false);
    late.push(answer());
    connection.brokeWhileIdle(surplus);
    expect(reported([first, early, ...late])).toEqual([false, false, false, false, true]);
    expect([isLost(), lost()]).toEqual([true, 1]);
    vi.advanceTimersByTime(DISTRUST_MS);
    expect(isLost()).toBe(false);
  });

  test("does not report a connection's first response, which nothing preceded", () => {
    const { connection, answer } = watched();
    const answers = [answer(), answer()];
    connection.brokeWhileIdle(surplus);
    expect(reported(answers)).toEqual([false, true]);
  });

  test("reports at most the last 64 responses", () => {
    const { connection, answer } = watched();
    const answers = Array.from({ length: 70 }, answer);
    connection.brokeWhileIdle(surplus);
    expect(reported(answers)).toEqual(answers.map((_, index) => index >= 6));
  });

  test("reports the last response after a reset, and keeps its trust", () => {
    const { connection, answer, isLost } = watched();
    const answers = [answer(), answer(), answer()];
    connection.brokeWhileIdle(reset);
    expect([reported(answers), isLost()]).toEqual([[false, false, true], false]);
  });
});
