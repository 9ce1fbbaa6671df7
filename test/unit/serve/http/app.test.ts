// The routes of the download port: which requests are health checks, calls or downloads.
import { afterEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { limitUnusedBody } from "../../../../src/serve/http/app.ts";
import { isHealth } from "../../../../src/serve/http/health.ts";
import type { RestApiParts } from "../../../../src/serve/http/rest/call.ts";
import { type HttpServer, startServer } from "../../../../src/serve/http/wire/server.ts";
import { converse } from "../../../helpers/converse.ts";
import { startDownloadApp } from "../../../helpers/download-app.ts";
import { sendRaw } from "../../../helpers/raw.ts";

const PATH = "/.well-known/huiyuan";

let server: HttpServer | undefined;
afterEach(async () => {
  await server?.stop(0);
  server = undefined;
});

interface State {
  path: string;
  isReady: boolean | Error;
}

/** A download is answered 404, because no host has a domain. */
async function serve(given: Partial<State> = {}): Promise<{ readonly port: number; readonly state: State }> {
  const state: State = { path: PATH, isReady: true, ...given };
  server = await startDownloadApp({
    healthPath: () => state.path,
    async readiness() {
      if (state.isReady instanceof Error) throw state.isReady;
      return { isReady: state.isReady, notes: ["a secret"] };
    },
  });
  return { port: server.port, state };
}

const ask = (target: string, { method = "GET", version = "1.1", hosts = ["Host: any.example"] } = {}) =>
  [`${method} ${target} HTTP/${version}`, ...hosts, "", ""].join("\r\n");

async function answerOf(port: number, bytes: string): Promise<string> {
  const [answer = ""] = await converse(port, [bytes], 1);
  return answer;
}

test.each([
  ["ready", true, 200, "ready"],
  ["not ready", false, 503, "not ready"],
  ["unable to say", new Error("as planned"), 503, "not ready"],
])("the health path says that the server is %s, and nothing else", async (_what, isReady, status, text) => {
  const { port } = await serve({ isReady });
  const answer = await answerOf(port, ask(PATH));
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  for (const line of ["Cache-Control: no-store", "X-Request-Id: id", "X-Content-Type-Options: nosniff"]) {
    expect(answer).toContain(`\r\n${line}\r\n`);
  }
  expect(answer).toMatch(new RegExp(`\r\n\r\n\\{"status":"${text}"\\}\n$`));
  const head = await answerOf(port, ask(PATH, { method: "HEAD" }));
  expect(head).toBe(answer.slice(0, answer.indexOf("\r\n\r\n") + 4));
});

test.each([
  ["a query", ask(`${PATH}?a=b`), 200],
  ["an absolute target", ask(`http://other.example${PATH}`, { hosts: ["Host: other.example"] }), 200],
  ["an address for a host", ask(PATH, { hosts: ["Host: 10.0.0.1:8080"] }), 200],
  ["HTTP/1.0 without a host", ask(PATH, { hosts: [], version: "1.0" }), 200],
  ["HTTP/1.1 without a host", ask(PATH, { hosts: [] }), 400],
  ["two hosts", ask(PATH, { hosts: ["Host: a.example", "Host: b.example"] }), 400],
  ["a slash behind it", ask(`${PATH}/`), 404],
  ["a longer name", ask(`${PATH}2`), 404],
  ["a folder before it", ask(`/a${PATH}`), 404],
  ["other letters", ask(PATH.toUpperCase()), 404],
  ["POST", ask(PATH, { method: "POST" }), 404],
  ["OPTIONS", ask(PATH, { method: "OPTIONS" }), 404],
])("the health path takes health checks only: %s", async (_what, bytes, status) => {
  const { port } = await serve();
  expect(await answerOf(port, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test("the health path follows the settings: another path, the root, or none", async () => {
  const { port, state } = await serve();
  const statuses = async () => {
    const answers = await Promise.all(["/", "/ready", PATH].map((path) => answerOf(port, ask(path))));
    return answers.map((answer) => answer.slice(9, 12));
  };
  expect(await statuses()).toEqual(["404", "404", "200"]);
  state.path = "/ready";
  expect(await statuses()).toEqual(["404", "200", "404"]);
  state.path = "/";
  expect(await statuses()).toEqual(["200", "404", "404"]);
  expect(await answerOf(port, ask("/?a=b"))).toMatch(/^HTTP\/1\.1 200 /);
  state.path = "";
  expect(await statuses()).toEqual(["404", "404", "404"]);
});

test.each([
  ["/", "/a.jpg"],
  [PATH, `${PATH}.jpg`],
])("isHealth() with the path %s does not read the headers of a request for %s", (path, url) => {
  let hasRead = false;
  const request = {
    ...{ method: "GET", url, httpVersion: "1.1" },
    get rawHeaders(): string[] {
      hasRead = true;
      return [];
    },
  };
  expect([isHealth(request, path), hasRead]).toEqual([false, false]);
});

const CALL = "/photos/v2/10001234/photos/0/a";
const on = (...hosts: string[]) => ({ hosts: hosts.map((host) => `Host: ${host}`) });

// Many of these targets and Hosts are no URL.
test.each([
  ["call", "a call", ask(CALL)],
  ["call", "a call of V1", ask("/photos/v1/10001234/0")],
  ["call", "a call with an absolute target", ask(`http://any.example${CALL}`)],
  ["call", "a call by HTTP/1.0 without a Host", ask(CALL, { hosts: [], version: "1.0" })],
  ["call", "a call without a Host", ask(CALL, { hosts: [] })],
  ["call", "a call with two Hosts", ask(CALL, on("a.example", "b.example"))],
  ["call", "a call with a Host that is no name", ask(CALL, on("a b"))],
  ["call", "an unknown method", ask(CALL, { method: "PROPFIND" })],
  ["call", "a HEAD", ask(CALL, { method: "HEAD" })],
  ["download", "the Host of a domain", ask(CALL, on("img.example"))],
  ["download", "the Host of a domain in an absolute target", ask(`http://img.example${CALL}`, on("img.example"))],
  ["download", "a dot segment before it", ask(`/a/..${CALL}`)],
  ["download", "an escaped slash", ask("/photos%2Fv2/10001234/photos/0/a")],
  ["download", "another version", ask("/photos/v3/10001234/photos/0/a")],
  ["download", "another scheme", ask(`ftp://any.example${CALL}`)],
  ["download", "a backslash", ask("/a\\b.jpg")],
  ["download", "no path", ask("*", { method: "OPTIONS" })],
  ["download", "a Host with a short port", ask("/a.jpg", on("img.example:80"))],
  ["download", "a Host that is no URL's", ask("/a.jpg", on("xn--a"))],
  ["download", "a Host that is no name", ask("/a.jpg", on("a b"))],
  ["download", "HTTP/1.0 without a Host", ask("/a.jpg", { hosts: [], version: "1.0" })],
  ["download", "a HEAD by HTTP/1.0 without a Host", ask("/a.jpg", { method: "HEAD", hosts: [], version: "1.0" })],
])("the route of a %s: %s", async (route, _what, bytes) => {
  const finished: string[] = [];
  const projects = { find: () => undefined, isDomain: (host: string) => host === "img.example" };
  server = await startDownloadApp({
    restApi: {
      projects: () => projects,
      clients: () => undefined,
      tokens: { boundFile: () => undefined },
    } as unknown as RestApiParts,
    answered: () => void finished.push("download"),
    called: () => void finished.push("call"),
  });
  expect(await answerOf(server.port, bytes)).toMatch(/^HTTP\/1\.1 40[04] .*\r\nX-Request-Id: id\r\n/s);
  expect(finished).toEqual([route]);
});

test("an error of the program while it answers cuts the connection, is logged, and ends nothing", async () => {
  const faults: string[] = [];
  server = await startDownloadApp({
    log: { ...SILENT_LOG, error: (_fields: object, message: string) => void faults.push(message) },
    healthPath: () => PATH,
    readiness() {
      throw new Error("as planned");
    },
  });
  // The second Host is no URL's.
  for (const hosts of [["Host: a.example"], ["Host: xn--a"]])
    expect((await converse(server.port, [ask(PATH, { hosts })], 1)).at(-1)).toBe("closed");
  expect(faults).toEqual(["cannot answer a request", "cannot answer a request"]);
});

const REQUESTS = 40;

test("limitUnusedBody() leaves no timer for a body that was read while its request waited", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  let answered = 0;
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId: () => "id",
    listener(request, response) {
      limitUnusedBody(request, response);
      answered += 1;
      setImmediate(() => response.end());
    },
  });
  try {
    const before = timers();
    const request = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    await sendRaw(server.port, request.repeat(REQUESTS), 300);
    expect(answered).toBe(REQUESTS);
    expect(timers() - before).toBeLessThan(5);
  } finally {
    await server.stop(0);
  }
});
