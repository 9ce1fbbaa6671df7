// The health path in front of downloads: which requests it answers, and how.
import { afterEach, expect, test } from "vitest";
import type { DownloadResponse } from "../../../../src/http/response/response.ts";
import { withHealth } from "../../../../src/http/wire/health.ts";
import { converse, type FastPathLab, startFastPathLab } from "../../../helpers/fast-path-lab.ts";

const PATH = "/.well-known/huiyuan";

let lab: FastPathLab | undefined;
afterEach(async () => {
  await lab?.stop();
  lab = undefined;
});

interface State {
  path: string;
  isReady: boolean | Error;
}

/** Starts the lab; downloads answer 204. */
async function serve(given: Partial<State> = {}): Promise<{ readonly lab: FastPathLab; readonly state: State }> {
  const state: State = { path: PATH, isReady: true, ...given };
  const download = withHealth(
    (_request, response) => {
      response.writeHead(204, []);
      response.end();
    },
    {
      path: () => state.path,
      nextRequestId: () => "id",
      async readiness() {
        if (state.isReady instanceof Error) throw state.isReady;
        return { isReady: state.isReady, notes: ["a secret"] };
      },
    },
  );
  lab = await startFastPathLab(download);
  return { lab, state };
}

const ask = (target: string, { method = "GET", version = "1.1", hosts = ["Host: any.example"] } = {}) =>
  [`${method} ${target} HTTP/${version}`, ...hosts, "", ""].join("\r\n");

/** The response, which must be the same from the fast path and from node's server. */
async function answerOf({ fast, plain }: FastPathLab, bytes: string): Promise<string> {
  const [answer = ""] = await converse(fast, [bytes], 1);
  expect((await converse(plain, [bytes], 1))[0]?.split("\r\n").sort()).toEqual(answer.split("\r\n").sort());
  return answer;
}

test.each([
  ["ready", true, 200, "ready"],
  ["not ready", false, 503, "not ready"],
  ["unable to say", new Error("as planned"), 503, "not ready"],
])("withHealth() says that the server is %s, and nothing else", async (_what, isReady, status, text) => {
  const { lab } = await serve({ isReady });
  const answer = await answerOf(lab, ask(PATH));
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  for (const line of ["Cache-Control: no-store", "X-Request-Id: id", "X-Content-Type-Options: nosniff"]) {
    expect(answer).toContain(`\r\n${line}\r\n`);
  }
  expect(answer).toMatch(new RegExp(`\r\n\r\n\\{"status":"${text}"\\}\n$`));
  const head = await answerOf(lab, ask(PATH, { method: "HEAD" }));
  expect(head).toBe(answer.slice(0, answer.indexOf("\r\n\r\n") + 4));
});

test.each([
  ["a query", ask(`${PATH}?a=b`), 200],
  ["an absolute target", ask(`http://other.example${PATH}`, { hosts: ["Host: other.example"] }), 200],
  ["an address for a host", ask(PATH, { hosts: ["Host: 10.0.0.1:8080"] }), 200],
  ["HTTP/1.0 without a host", ask(PATH, { hosts: [], version: "1.0" }), 200],
  ["HTTP/1.1 without a host", ask(PATH, { hosts: [] }), 204],
  ["two hosts", ask(PATH, { hosts: ["Host: a.example", "Host: b.example"] }), 204],
  ["a slash behind it", ask(`${PATH}/`), 204],
  ["a longer name", ask(`${PATH}2`), 204],
  ["a folder before it", ask(`/a${PATH}`), 204],
  ["other letters", ask(PATH.toUpperCase()), 204],
  ["POST", ask(PATH, { method: "POST" }), 204],
  ["OPTIONS", ask(PATH, { method: "OPTIONS" }), 204],
])("withHealth() answers health checks and passes other requests on: %s", async (_what, bytes, status) => {
  const { lab } = await serve();
  expect(await answerOf(lab, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
});

test("withHealth() follows the settings: another path, the root, or none", async () => {
  const { lab, state } = await serve();
  const statuses = async () => {
    const answers = await Promise.all(["/", "/ready", PATH].map((path) => answerOf(lab, ask(path))));
    return answers.map((answer) => answer.slice(9, 12));
  };
  expect(await statuses()).toEqual(["204", "204", "200"]);
  state.path = "/ready";
  expect(await statuses()).toEqual(["204", "200", "204"]);
  state.path = "/";
  expect(await statuses()).toEqual(["200", "204", "204"]);
  expect(await answerOf(lab, ask("/?a=b"))).toMatch(/^HTTP\/1\.1 200 /);
  state.path = "";
  expect(await statuses()).toEqual(["204", "204", "204"]);
});

test.each([
  ["/", "/a.jpg"],
  [PATH, `${PATH}.jpg`],
])("withHealth() with the path %s does not read the headers of a request for %s", (path, url) => {
  let passed = 0;
  const listener = withHealth(() => (passed += 1), {
    path: () => path,
    nextRequestId: () => "id",
    readiness: async () => ({ isReady: true, notes: [] }),
  });
  const headless = {
    ...{ method: "GET", url, httpVersion: "1.1", headers: {}, socket: {} },
    get rawHeaders(): string[] {
      throw new Error("the headers are read");
    },
  };
  listener(headless, {} as DownloadResponse);
  expect(passed).toBe(1);
});
