// Tests of the SSRF guard and of failures to connect, on real sockets: loopback addresses stand for public ones.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { type AddressClass, classifyAddress } from "../../../../../src/core/addresses.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createDialer, type Dialer } from "../../../../../src/serve/origin/dial/dialer.ts";
import { createSystemResolve, type Resolve } from "../../../../../src/serve/origin/dial/lookup.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { ask, codeOf, fetchWhole, siteAt } from "../../../../helpers/site-under-test.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function origin(...args: Parameters<typeof startScriptedOrigin>): Promise<ScriptedOrigin> {
  const started = await startScriptedOrigin(...args);
  closers.push(() => started.close());
  return started;
}

function site(...args: Parameters<typeof siteAt>): Origin {
  const created = siteAt(...args);
  closers.unshift(() => created.close());
  return created;
}

/** 127.0.0.2 counts as public; every other address has its real class. */
const secondIsPublic = (address: string): AddressClass =>
  address === "127.0.0.2" ? "public" : classifyAddress(address);

/** Answers each lookup with the next of `answers`; the last one repeats for ever. */
function resolver(...answers: (readonly string[])[]): Resolve & { readonly asked: string[] } {
  const asked: string[] = [];
  return Object.assign(
    async (hostname: string) => {
      asked.push(hostname);
      return answers[Math.min(asked.length, answers.length) - 1] ?? [];
    },
    { asked },
  );
}

const SPELLINGS = ["127.0.0.1", "127.1", "0", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:7f00:1]"];

for (const host of SPELLINGS) {
  test(`a site at ${host} is blocked without allowPrivate, and nothing is dialled`, async () => {
    const server = await origin({ "*": [response("x")] });
    const under = site(`http://${host}:${server.port}`, { allowPrivate: false });
    expect(await codeOf(under.fetch(ask("a")))).toBe("origin_blocked");
    expect(server.connections).toBe(0);
  });
}

test("allowPrivate permits loopback, but neither metadata nor link-local addresses", async () => {
  for (const address of ["169.254.169.254", "100.100.100.200", "fe80::1", "0.0.0.0", "nonsense"]) {
    const under = site("http://origin.test", { resolve: resolver([address]) });
    expect(await codeOf(under.fetch(ask("a"))), address).toBe("origin_blocked");
  }
});

test("one private address among public ones blocks the name", async () => {
  const server = await origin({ "*": [response("x")] }, { host: "127.0.0.2" });
  const resolve = resolver(["127.0.0.2", "10.0.0.1"]);
  const under = site(`http://origin.test:${server.port}`, { allowPrivate: false, classify: secondIsPublic, resolve });
  expect(await codeOf(under.fetch(ask("a")))).toBe("origin_blocked");
  expect(server.connections).toBe(0);
});

test("every dial resolves the name and checks it again", async () => {
  const server = await origin({ "*": [response("x"), "FIN"] }, { host: "127.0.0.2" });
  const resolve = resolver(["127.0.0.2"], ["127.0.0.1"]);
  const under = site(`http://origin.test:${server.port}`, { allowPrivate: false, classify: secondIsPublic, resolve });
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("x");
  await server.closedDownTo(0);
  expect(await codeOf(under.fetch(ask("a")))).toBe("origin_blocked");
  expect(resolve.asked).toEqual(["origin.test", "origin.test"]);
});

test("the peer's address is checked, not only the dialled one", async () => {
  const server = await origin({ "*": [response("x")] });
  const under = site(`http://origin.test:${server.port}`, {
    allowPrivate: false,
    resolve: resolver(["0.0.0.0"]), // the kernel connects this to 127.0.0.1
    classify: (address) => (address === "0.0.0.0" ? "public" : classifyAddress(address)),
  });
  expect(await codeOf(under.fetch(ask("a")))).toBe("origin_blocked");
  await server.closedDownTo(0);
  expect(server.requests).toHaveLength(0);
});

test("the next address is dialled if the first refuses", async () => {
  const server = await origin({ "*": [response("x")] }, { host: "127.0.0.2" });
  const under = site(`http://origin.test:${server.port}`, { resolve: resolver(["127.0.0.3", "127.0.0.2"]) });
  expect((await fetchWhole(under, "a")).bytes.toString()).toBe("x");
  expect(server.requests[0]?.headers.host).toBe(`origin.test:${server.port}`);
});

test("a redirect from a public host to a private one is blocked", async () => {
  const inside = await origin({ "*": [response("secret")] });
  const moved = response("", { status: "302 Found", headers: { Location: `${inside.url}/latest/meta-data` } });
  const server = await origin({ "*": [moved] }, { host: "127.0.0.2" });
  const under = site(server.url, { allowPrivate: false, classify: secondIsPublic });
  expect(await codeOf(under.fetch(ask("a")))).toBe("origin_blocked");
  expect(inside.connections).toBe(0);
});

test("allowPrivate covers the configured host and port, and no other port of it", async () => {
  const inside = await origin({ "*": [response("secret")] });
  const moved = response("", { status: "302 Found", headers: { Location: `${inside.url}/` } });
  const server = await origin({ "*": [moved] });
  expect(await codeOf(site(server.url).fetch(ask("a")))).toBe("origin_blocked");
  expect(inside.connections).toBe(0);
});

test("a foreign host cannot redirect back to a private origin", async () => {
  let back = "";
  const other = await origin(
    (_request, connection) =>
      connection.send(response("", { status: "302 Found", headers: { Location: `${back}/admin` } })),
    { host: "127.0.0.2" },
  );
  const server = await origin({
    "/a": [response("", { status: "302 Found", headers: { Location: other.url } })],
    "/admin": [response("secret")],
  });
  back = server.url;
  expect(await codeOf(site(server.url, { classify: secondIsPublic }).fetch(ask("a")))).toBe("origin_blocked");
  expect(server.requests.map((request) => request.target)).toEqual(["/a"]);
});

test("a host with a trailing dot is the same host to allowPrivate", async () => {
  const server = await origin({ "*": [response("x")] });
  const resolve = resolver(["127.0.0.1"]);
  expect((await fetchWhole(site(`http://ORIGIN.test.:${server.port}`, { resolve }), "a")).bytes.toString()).toBe("x");
  const guarded = site(`http://origin.test.:${server.port}`, { resolve, allowPrivate: false });
  expect(await codeOf(guarded.fetch(ask("a")))).toBe("origin_blocked");
});

test("failed lookups have codes of their own and are not retried", async () => {
  const failing = (code: "origin_name_unknown" | "origin_dns_failed") => async () => {
    throw new HuiyuanError(code, "as the test wants");
  };
  const cases: readonly (readonly [Resolve, string])[] = [
    [failing("origin_name_unknown"), "origin_name_unknown"],
    [failing("origin_dns_failed"), "origin_dns_failed"],
    [resolver([]), "origin_name_unknown"],
    [() => new Promise(() => {}), "origin_dns_timeout"],
  ];
  for (const [answer, code] of cases) {
    let asked = 0;
    const resolve: Resolve = (hostname) => {
      asked += 1;
      return answer(hostname);
    };
    const under = site("http://origin.test", { resolve, timeouts: { connect: 60 } });
    expect([await codeOf(under.fetch(ask("a"))), asked]).toEqual([code, 1]);
  }
});

test("createSystemResolve() resolves localhost, and simultaneous requests share a lookup", async () => {
  const resolve = createSystemResolve();
  const [one, other] = [resolve("localhost"), resolve("localhost")];
  expect(one).toBe(other);
  expect((await one).every((address) => classifyAddress(address) === "private")).toBe(true);
  expect(resolve("localhost")).not.toBe(one);
});

const tls = {
  key: readFileSync(new URL("../../../../fixtures/tls/key.pem", import.meta.url), "utf8"),
  cert: readFileSync(new URL("../../../../fixtures/tls/cert.pem", import.meta.url), "utf8"),
};
const resolve = resolver(["127.0.0.1"]);

test("https works with a name, a literal address, and a Host as the name of a literal address", async () => {
  const server = await origin({ "*": [response("x")] }, { tls });
  const named = site(`https://origin.test:${server.port}`, { ca: tls.cert, resolve });
  const literal = site(server.url, { ca: tls.cert });
  const borrowed = site(server.url, { ca: tls.cert, host: "origin.test" });
  for (const under of [named, literal, borrowed]) {
    expect((await fetchWhole(under, "a")).bytes.toString()).toBe("x");
  }
});

test("https reuses its connection and detects a truncated body", async () => {
  const cut = [head("200 OK", [["Content-Length", "10"]]), "abc", "FIN"] as const;
  const server = await origin({ "/a": [response("x")], "/cut": cut }, { tls });
  const under = site(server.url, { ca: tls.cert, connections: 1 });
  await fetchWhole(under, "a");
  const { bytes, error } = await fetchWhole(under, "cut");
  expect([bytes.toString(), server.connections]).toEqual(["abc", 1]);
  expect(error).toMatchObject({ code: "origin_truncated" });
});

test("a certificate of an unknown authority or for another name is origin_tls", async () => {
  const server = await origin({ "*": [response("x")] }, { tls });
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  try {
    expect(await codeOf(site(server.url).fetch(ask("a")))).toBe("origin_tls");
    const other = site(`https://other.test:${server.port}`, { ca: tls.cert, resolve });
    expect(await codeOf(other.fetch(ask("a")))).toBe("origin_tls");
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  }
  expect(server.requests).toHaveLength(0);
});

test("a server that closes each connection at once is a failure to connect, although the peer's address is unknown", async () => {
  const script = `require("node:net").createServer((socket) => socket.on("error", () => {}).destroy())
    .listen(0, "127.0.0.1", function () { console.log(this.address().port); })`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill());
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const under = site(`https://127.0.0.1:${Number(said)}`, { ca: tls.cert });
  for (let index = 0; index < 30; index += 1) {
    expect(["origin_tls", "origin_refused"]).toContain(await codeOf(under.fetch(ask(`${index}`))));
  }
});

test("a server without TLS, or one that aborts the handshake, is origin_tls; a silent one is origin_timeout", async () => {
  const rude = (answer: (connection: { send(text: string): Promise<void>; end(): void }) => void) =>
    origin(
      {},
      {
        onConnection: (connection) => {
          answer(connection);
          return false;
        },
      },
    );
  const plain = await rude((connection) => void connection.send("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const leaving = await rude((connection) => connection.end());
  const silent = await rude(() => {});
  const at = (server: ScriptedOrigin, connect = 5_000) =>
    site(`https://127.0.0.1:${server.port}`, { timeouts: { connect } });
  const says = expect.stringContaining("ERR_SSL_WRONG_VERSION_NUMBER; this port speaks plain http: write http://");
  await expect(at(plain).fetch(ask("a"))).rejects.toMatchObject({ code: "origin_tls", message: says });
  expect(await codeOf(at(leaving).fetch(ask("a")))).toBe("origin_tls");
  expect(await codeOf(at(silent, 100).fetch(ask("a")))).toBe("origin_timeout");
  await silent.closedDownTo(0);
});

test("dispatcher() is guarded, and of 20 endpoints at most 16 keep a connection", async () => {
  const server = await origin({ "*": [response("x")] });
  const dialer: Dialer = createDialer({
    allowPrivate: (hostname, port) => hostname !== "closed.test" && port === server.port,
    resolve,
    connectTimeoutMs: 1000,
    connections: 4,
  });
  closers.unshift(() => dialer.close());
  const get = async (hostname: string) => {
    const endpoint = { isSecure: false, hostname, port: server.port, servername: undefined };
    const answer = await dialer.dispatcher(endpoint).request({ path: "/", method: "GET" });
    return answer.body.text();
  };
  for (let index = 0; index < 20; index += 1) expect(await get(`h${index}.test`)).toBe("x");
  await server.closedDownTo(16);
  expect(await codeOf(get("closed.test"))).toBe("origin_blocked");
  await dialer.close();
  await server.closedDownTo(0);
});

test("close() also waits for requests of evicted pools", async () => {
  const server = await origin({ "/0": [{ pause: 400 }, response("x")], "*": [{ pause: 100 }, response("x")] });
  const dialer = createDialer({ allowPrivate: () => true, resolve, connectTimeoutMs: 1000, connections: 1 });
  const get = async (index: number) => {
    const endpoint = { isSecure: false, hostname: `h${index}.test`, port: server.port, servername: undefined };
    const answer = await dialer.dispatcher(endpoint).request({ path: `/${index}`, method: "GET" });
    return answer.body.text();
  };
  const all = Array.from({ length: 18 }, (_, index) => get(index));
  await server.received(18);
  await dialer.close();
  expect(await Promise.all(all)).toEqual(Array.from({ length: 18 }, () => "x"));
});

test("a throw while a connection closes ends nothing else, and reaches the request once", async () => {
  const told: string[] = [];
  const listen = (warning: Error) => void told.push(warning.message);
  process.on("warning", listen);
  closers.push(async () => void process.off("warning", listen));
  const server = await origin({
    "/cut": [head("200 OK", [["Content-Length", "9"]]), "abc", "FIN"],
    "*": [response("x")],
  });
  const dialer = createDialer({ allowPrivate: () => true, resolve, connectTimeoutMs: 1000, connections: 1 });
  closers.unshift(() => dialer.close());
  const endpoint = { isSecure: false, hostname: "127.0.0.1", port: server.port, servername: undefined };
  await new Promise<void>((over) => {
    dialer.dispatcher(endpoint).dispatch(
      { path: "/cut", method: "GET" },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd() {},
        onResponseError() {
          over();
          throw new Error("thrown by the test");
        },
      },
    );
  });
  const answer = await dialer.dispatcher(endpoint).request({ path: "/", method: "GET" });
  expect(await answer.body.text()).toBe("x");
  expect(told).toEqual(["thrown by the test"]);
});

test("close() ends a connection whose body is paused", async () => {
  const server = await origin({ "/a": [head("200 OK", [["Connection", "close"]]), "abc", { pause: 10_000 }] });
  const dialer = createDialer({ allowPrivate: () => true, resolve, connectTimeoutMs: 1000, connections: 1 });
  const endpoint = { isSecure: false, hostname: "127.0.0.1", port: server.port, servername: undefined };
  const failed = await new Promise<Error>((over, no) => {
    dialer.dispatcher(endpoint).dispatch(
      { path: "/a", method: "GET" },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData(controller) {
          controller.pause();
          setTimeout(() => controller.abort(new Error("enough")), 20);
          dialer.close().catch(no);
        },
        onResponseEnd() {},
        onResponseError: (_controller, error) => over(error),
      },
    );
  });
  expect(failed.message).toBe("enough");
  await dialer.close();
  await server.closedDownTo(0);
});

test("a request that waits for an idle connection gets another one if that one expires meanwhile", async () => {
  // undici takes two seconds off the time that the server names.
  const server = await origin({ "*": [response("x", { headers: { "Keep-Alive": "timeout=3" } })] });
  const endpoint = { isSecure: false, hostname: "origin.test", port: server.port, servername: undefined };
  const options = { allowPrivate: () => true, resolve: resolver(["127.0.0.1"]), connectTimeoutMs: 5_000 };
  const dialers = Array.from({ length: 24 }, () => createDialer({ ...options, connections: 1 }));
  closers.unshift(async () => void (await Promise.all(dialers.map((dialer) => dialer.close()))));
  const fetchText = async (dialer: Dialer) => {
    const { body } = await dialer.dispatcher(endpoint).request({ path: "/a", method: "GET" });
    return body.text();
  };
  for (const dialer of dialers) {
    expect(await fetchText(dialer)).toBe("x");
    await delay(50);
  }
  // The loop is late, so that timers of some connections are due in the turn in which the requests are sent.
  const late = performance.now() + 700;
  const sent = new Promise<string[]>((resolve, reject) => {
    setTimeout(() => {
      while (performance.now() < late);
      Promise.all(dialers.map(fetchText)).then(resolve, reject);
    });
  });
  expect(await sent).toEqual(dialers.map(() => "x"));
});
