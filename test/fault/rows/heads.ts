// Rows about statuses, response heads that are not HTTP, redirects, loops, and connections that end before a head. It
// is long because it is one table.
import { get } from "../../helpers/get.ts";
import { head, response } from "../../helpers/scripted-origin.ts";
import type { FaultGroup } from "../fault.ts";
import { lengthHead, OTHER_SINGLE, SECURE, SHORT, SINGLE, tell } from "../lab.ts";
import { type MissFault, missFault, NOT_STORED, STORED } from "./misses.ts";

/** On a reused connection these bytes would count as part of the previous response, so each row has its own domain. */
export const NO_HEAD_DOMAINS = ["no-head.test", "greeting.test"] as const;

const refused = (errNo: number, requests = 1) => ({ client: `424, ${errNo}`, requests, ...NOT_STORED }) as const;
const GOOD = { client: "200 whole", requests: 1, ...STORED } as const;
const OK = "HTTP/1.1 200 OK\r\n";
const redirect = (location: string, status = "302 Found") => [
  response("", { status, headers: { Location: location } }),
];

const STATUSES: readonly MissFault[] = [
  { id: "status-500", what: "500", script: () => [response("oops", { status: "500 Oops" })], expected: refused(-120) },
  { id: "status-403", what: "403", script: () => [response("no", { status: "403 No" })], expected: refused(-120) },
  {
    id: "status-404",
    what: "404",
    script: () => [response("", { status: "404 Not Found" })],
    expected: { client: "404, -6101", requests: 1, ...NOT_STORED },
  },
  {
    id: "status-410",
    what: "410",
    script: () => [response("", { status: "410 Gone" })],
    expected: { client: "404, -6101", requests: 1, ...NOT_STORED },
  },
  {
    id: "status-429",
    what: "429 with Retry-After: 7",
    script: () => [response("", { status: "429 Slow down", headers: { "Retry-After": "7" } })],
    expected: { client: "424, -120, Retry-After 7", requests: 1, ...NOT_STORED },
  },
  {
    id: "status-204",
    what: "204",
    script: () => [head("204 No Content")],
    expected: refused(-120),
  },
  {
    id: "status-206",
    what: "206 with the whole image, although no range was requested",
    script: ({ picture }) => [
      response(picture, {
        status: "206 Partial Content",
        headers: { "Content-Range": `bytes 0-${picture.length - 1}/${picture.length}` },
      }),
    ],
    expected: refused(-120),
  },
  {
    id: "status-304",
    what: "304, no condition was sent",
    script: () => [head("304 Not Modified")],
    expected: refused(-120),
  },
  {
    id: "html-404-as-200",
    what: "200 with a page that says not found",
    script: () => [response("<html>404 Not Found</html>", { headers: { "Content-Type": "text/html" } })],
    expected: refused(-120),
  },
];

const HEADS: readonly MissFault[] = [
  {
    id: "early-hints",
    what: "103 before the head",
    script: ({ picture }) => [head("103 Early Hints"), response(picture)],
    expected: GOOD,
  },
  {
    id: "processing",
    what: "102 before the head",
    script: ({ picture }) => [head("102 Processing"), response(picture)],
    expected: GOOD,
  },
  {
    id: "continue",
    what: "100 before the head",
    script: ({ picture }) => [head("100 Continue"), response(picture)],
    expected: refused(-120),
  },
  {
    id: "flood-of-1xx",
    what: "100 times 103",
    script: () => Array.from({ length: 100 }, () => head("103 Early Hints")),
    expected: refused(-120),
  },
  {
    id: "switching",
    what: "101 that was not requested",
    script: () => [
      head("101 Switching", [
        ["Upgrade", "x"],
        ["Connection", "upgrade"],
      ]),
    ],
    expected: refused(-120),
  },
  {
    id: "head-over-64k",
    what: "a head of 70 kB in 70 headers",
    script: () => [OK, ...Array.from({ length: 70 }, (_, index) => `X-${index}: ${"x".repeat(1_000)}\r\n`), "\r\n"],
    expected: refused(-120),
  },
  {
    id: "header-of-8-mb",
    what: "one header of 8 MB",
    script: () => [`${OK}X: `, Buffer.alloc(8_000_000, "x"), "\r\n\r\n"],
    expected: refused(-120),
  },
  {
    id: "endless-head",
    what: "headers without end, one each 20 ms",
    host: SHORT,
    script: () => async (_request, connection) => {
      await connection.send(OK);
      while (!connection.isGone) {
        await connection.send("X: y\r\n");
        await connection.pause(20);
      }
    },
    expected: refused(-902),
  },
  {
    id: "slow-head",
    what: "half of a head, then silence",
    host: SHORT,
    script: () => [`${OK}Content-Le`, "HANG"],
    expected: refused(-902),
  },
  { id: "no-head", what: "silence after the request", host: SHORT, script: () => ["HANG"], expected: refused(-902) },
  {
    id: "no-body",
    what: "a head, then silence",
    host: SHORT,
    script: ({ picture }) => [lengthHead(picture.length), "HANG"],
    expected: refused(-902),
  },
  {
    id: "silent-body",
    what: "half of the body, then silence",
    host: SHORT,
    script: ({ picture }) => [lengthHead(picture.length), picture.subarray(0, 50_000), "HANG"],
    expected: { client: "200 broken", requests: 1, ...NOT_STORED },
  },
  {
    id: "dripping-body",
    what: "one byte each 20 ms, beyond the total time",
    host: SHORT,
    script:
      ({ picture }) =>
      async (_request, connection) => {
        await connection.send(lengthHead(picture.length));
        for (let at = 0; !connection.isGone; at += 1) {
          await connection.send(picture.subarray(at, at + 1));
          await connection.pause(20);
        }
      },
    expected: { client: "200 broken", requests: 1, ...NOT_STORED },
  },
  {
    id: "http-1.0",
    what: "HTTP/1.0 with a length",
    script: ({ picture }) => [`HTTP/1.0 200 OK\r\nContent-Length: ${picture.length}\r\n\r\n`, picture, "FIN"],
    expected: GOOD,
  },
  {
    id: "http-1.0-cut",
    what: "HTTP/1.0 without a length, cut in half",
    script: ({ picture }) => ["HTTP/1.0 200 OK\r\n\r\n", picture.subarray(0, 50_000), "CLIENT HAS HEAD", "FIN"],
    expected: { client: "200 broken", requests: 1, ...NOT_STORED },
  },
  {
    id: "http-0.9",
    what: "HTTP/0.9: the image without a head",
    host: NO_HEAD_DOMAINS[0],
    script: ({ picture }) => [picture, "FIN"],
    expected: refused(-120),
  },
  {
    id: "foreign-protocol",
    what: "the greeting of a mail server",
    host: NO_HEAD_DOMAINS[1],
    script: () => ["220 mail.example ESMTP\r\n", "HANG"],
    expected: refused(-120),
  },
  {
    id: "two-lengths",
    what: "two Content-Length that differ",
    script: ({ picture }) => [`${OK}Content-Length: ${picture.length}\r\nContent-Length: 9\r\n\r\n`, picture],
    expected: refused(-120),
  },
  {
    id: "length-and-chunks",
    what: "Content-Length beside Transfer-Encoding",
    script: ({ picture }) => [`${OK}Content-Length: ${picture.length}\r\nTransfer-Encoding: chunked\r\n\r\n`, picture],
    expected: refused(-120),
  },
  {
    id: "length-no-number",
    what: "a Content-Length that is no number",
    script: () => [`${OK}Content-Length: 1x\r\n\r\nx`],
    expected: refused(-120),
  },
  { id: "nul-in-head", what: "NUL in a header", script: () => [`${OK}X: a\0b\r\n\r\n`], expected: refused(-120) },
  { id: "fin-before-head", what: "FIN instead of a head", script: () => ["FIN"], expected: refused(-902, 2) },
  { id: "rst-before-head", what: "RST instead of a head", script: () => ["RST"], expected: refused(-902, 2) },
  {
    id: "fin-in-head",
    what: "FIN inside the head",
    script: () => [`${OK}Content-Le`, "FIN"],
    expected: refused(-902, 2),
  },
  {
    id: "rst-once",
    what: "RST instead of a head, once",
    script: ({ picture }) => ({ inTurn: [["RST"], [response(picture)]] }),
    expected: { client: "200 whole", requests: 2, ...STORED },
  },
];

const REUSE: readonly MissFault[] = [
  {
    id: "reuse-after-cut",
    what: "half of the declared length, then silence; the next request on one connection a host",
    host: SINGLE,
    script: ({ picture }) => [lengthHead(picture.length), picture.subarray(0, 50_000), "HANG"],
    expected: { client: "200 broken", requests: 1, ...NOT_STORED },
  },
  {
    id: "stray-answer",
    what: "a second response after the first, before any further request",
    host: OTHER_SINGLE,
    script: ({ picture, otherPicture }) => [Buffer.concat([response(picture), response(otherPicture)])],
    ask: async (lab, path, host) => {
      const first = await lab.get({ path, host });
      const other = await lab.get({ path: "/after-stray-answer.jpg", host });
      return `${tell(first, lab.picture)}; another key: ${tell(other, lab.picture)}`;
    },
    expected: { client: "200 whole; another key: 200 whole", requests: 1, ...STORED },
  },
];

const REDIRECTS: readonly MissFault[] = [
  { id: "redirect", what: "302 to another path", script: () => redirect("/elsewhere.jpg"), expected: GOOD },
  {
    id: "redirect-nowhere",
    what: "302 without Location",
    script: () => [response("", { status: "302 Found" })],
    expected: refused(-120),
  },
  {
    id: "redirect-to-itself",
    what: "302 to the same URL",
    script: () => redirect("/redirect-to-itself.jpg"),
    expected: refused(-120),
  },
  {
    id: "redirect-circle",
    what: "302 to and fro between two URLs",
    script: (lab) => {
      lab.script("/redirect-circle-back", redirect("/redirect-circle.jpg"));
      return redirect("/redirect-circle-back");
    },
    expected: refused(-120),
  },
  {
    id: "redirect-chain",
    what: "six hops",
    script: (lab) => {
      for (let hop = 1; hop <= 6; hop += 1)
        lab.script(`/redirect-chain-${hop}`, redirect(`/redirect-chain-${hop + 1}`));
      return redirect("/redirect-chain-1");
    },
    expected: refused(-120),
  },
  {
    id: "redirect-downgrade",
    what: "302 from https to http",
    host: SECURE,
    script: (lab) => redirect(`http://origin.test:${lab.secureOrigin.port}/x.jpg`),
    expected: refused(-120),
  },
  {
    id: "redirect-credentials",
    what: "302 to a URL with a user name",
    script: (lab) => redirect(`http://user:word@127.0.0.1:${lab.origin.port}/x.jpg`),
    expected: refused(-120),
  },
];

const LOOPS: readonly MissFault[] = [
  {
    id: "loop-through-cdn",
    what: "the origin is a CDN whose origin is this server",
    script: (lab) => async (request, connection) => {
      const { via = "", "cdn-loop": cdnLoop = "" } = request.headers;
      const back = await lab.get({ path: "/loop-through-cdn-back.jpg", headers: { Via: via, "CDN-Loop": cdnLoop } });
      await connection.send(response(back.body, { status: `${back.status} As it came` }));
    },
    expected: refused(-120),
  },
  {
    id: "loop-marked",
    what: "the client's request carries this server's CDN-Loop",
    script: ({ picture }) => [response(picture)],
    ask: async (lab, path) => {
      await lab.get({ path: "/loop-marked-first.jpg" });
      const mark = lab.origin.requests.find(({ target }) => target === "/loop-marked-first.jpg")?.headers["cdn-loop"];
      const seen = await get({
        port: lab.program.downloadPort,
        host: "patient.test",
        path,
        headers: { "CDN-Loop": `other, ${mark}` },
      });
      return tell(seen, lab.picture);
    },
    expected: { client: "508, -120", requests: 0, ...NOT_STORED },
  },
];

export const heads: FaultGroup = {
  title: "Heads, redirects and loops",
  about:
    "Faulty responses before a body or without one. A request whose connection is lost before the head is retried once.",
  faults: [...STATUSES, ...HEADS, ...REUSE, ...REDIRECTS, ...LOOPS].map(missFault),
};
