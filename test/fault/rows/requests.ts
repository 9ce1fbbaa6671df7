// Rows about client requests: ranges, conditions, methods, and bytes that are not HTTP or that two parsers would read
// differently. It is long because it is one table.

import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { sendRaw } from "../../helpers/raw.ts";
import type { Fault, FaultGroup } from "../fault.ts";
import { getStored, type Lab, lengthHead, PATIENT, tell } from "../lab.ts";

const PATH = "/requests.jpg";

/** A stored object and its validators. */
async function stored(lab: Lab) {
  const { headers } = await getStored(lab, { path: PATH });
  return { etag: String(headers.etag), modified: String(headers["last-modified"]) };
}

type Validators = Awaited<ReturnType<typeof stored>>;

/** Id, description, request headers, expected response, and the expected part of the body. */
const CONDITIONS: readonly (readonly [
  string,
  string,
  (validators: Validators) => Record<string, string>,
  string,
  ((picture: Buffer) => Buffer)?,
])[] = [
  ["range", "Range: bytes=10-19", () => ({ Range: "bytes=10-19" }), "206 whole", (picture) => picture.subarray(10, 20)],
  ["range-suffix", "Range: bytes=-10", () => ({ Range: "bytes=-10" }), "206 whole", (picture) => picture.subarray(-10)],
  ["range-long-suffix", "a suffix longer than the object", () => ({ Range: "bytes=-99999999" }), "206 whole"],
  [
    "range-beyond",
    "a range that ends behind the end",
    () => ({ Range: "bytes=5-99999999" }),
    "206 whole",
    (picture) => picture.subarray(5),
  ],
  ["range-outside", "a range behind the end", () => ({ Range: "bytes=99999999-" }), "416, -124"],
  ["range-zero", "Range: bytes=-0", () => ({ Range: "bytes=-0" }), "416, -124"],
  ["range-reversed", "Range: bytes=9-5", () => ({ Range: "bytes=9-5" }), "200 whole"],
  ["range-garbage", "Range: bytes=a-b", () => ({ Range: "bytes=a-b" }), "200 whole"],
  ["range-unit", "another unit", () => ({ Range: "lines=1-2" }), "200 whole"],
  ["range-huge", "numbers of 400 digits", () => ({ Range: `bytes=${"9".repeat(400)}-` }), "416, -124"],
  ["range-overlap", "ranges that overlap", () => ({ Range: "bytes=0-99,50-149" }), "200 whole"],
  [
    "range-flood",
    "1000 ranges",
    () => ({ Range: `bytes=${Array.from({ length: 1_000 }, (_, index) => `${index}-${index}`).join()}` }),
    "200 whole",
  ],
  [
    "if-range-etag",
    "If-Range with the ETag",
    ({ etag }) => ({ Range: "bytes=0-9", "If-Range": etag }),
    "206 whole",
    (picture) => picture.subarray(0, 10),
  ],
  [
    "if-range-weak",
    "If-Range with the ETag made weak",
    ({ etag }) => ({ Range: "bytes=0-9", "If-Range": `W/${etag}` }),
    "200 whole",
  ],
  ["if-range-other", "If-Range with another ETag", () => ({ Range: "bytes=0-9", "If-Range": '"other"' }), "200 whole"],
  [
    "if-range-date",
    "If-Range with the date of storing: within its second there may have been another version",
    ({ modified }) => ({ Range: "bytes=0-9", "If-Range": modified }),
    "200 whole",
  ],
  [
    "if-range-old",
    "If-Range with an older date",
    () => ({ Range: "bytes=0-9", "If-Range": "Sat, 01 Jan 2000 00:00:00 GMT" }),
    "200 whole",
  ],
  ["if-none-match", "If-None-Match with the ETag", ({ etag }) => ({ "If-None-Match": etag }), "304"],
  [
    "if-none-match-weak",
    "If-None-Match with the ETag made weak, in a list",
    ({ etag }) => ({ "If-None-Match": `"a", W/${etag}` }),
    "304",
  ],
  [
    "if-none-match-over-date",
    "another ETag beside a date that holds",
    ({ modified }) => ({ "If-None-Match": '"a"', "If-Modified-Since": modified }),
    "200 whole",
  ],
  [
    "if-modified-since",
    "If-Modified-Since with the date",
    ({ modified }) => ({ "If-Modified-Since": modified }),
    "304",
  ],
  ["if-modified-garbage", "If-Modified-Since with garbage", () => ({ "If-Modified-Since": "yesterday" }), "200 whole"],
  ["if-match-other", "If-Match with another ETag", () => ({ "If-Match": '"other"' }), "412, -103"],
  [
    "if-unmodified-old",
    "If-Unmodified-Since with an older date",
    () => ({ "If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT" }),
    "412, -103",
  ],
  [
    "negotiation",
    "Accept, Accept-Encoding, Cookie and Authorization of the client's own",
    () => ({ Accept: "image/webp", "Accept-Encoding": "gzip, br", Cookie: "a=b", Authorization: "Basic eA==" }),
    "200 whole",
  ],
];

const conditions = CONDITIONS.map(
  ([id, what, headers, expected, part = (picture) => picture]): Fault => ({
    id: `request-${id}`,
    what,
    expected: { client: expected },
    observe: async (lab) => {
      const validators = await stored(lab);
      const seen = await lab.get({ path: PATH, headers: headers(validators) });
      const isConsistent =
        seen.status !== 304 || (seen.headers.etag === validators.etag && seen.headers["cache-control"] !== undefined);
      return { client: tell(seen, part(lab.picture)) + (isConsistent ? "" : ", HEADERS MISSING") };
    },
  }),
);

const originDate: Fault = {
  id: "request-if-range-origin-date",
  what: "If-Range with the date that the origin gave it",
  expected: { client: "206 whole" },
  async observe(lab) {
    const path = "/dated.jpg";
    const modified = "Sat, 01 Jan 2011 00:00:00 GMT";
    lab.script(path, [
      `HTTP/1.1 200 OK\r\nLast-Modified: ${modified}\r\nContent-Length: ${lab.picture.length}\r\n\r\n`,
      lab.picture,
    ]);
    await getStored(lab, { path });
    const seen = await lab.get({ path, headers: { Range: "bytes=0-9", "If-Range": modified } });
    return { client: tell(seen, lab.picture.subarray(0, 10)) };
  },
};

const severalRanges: Fault = {
  id: "request-multipart",
  what: "Range: bytes=0-9,20-29",
  expected: { client: "200 whole" },
  async observe(lab) {
    await stored(lab);
    const seen = await lab.get({ path: PATH, headers: { Range: "bytes=0-9,20-29" } });
    return { client: tell(seen, lab.picture) };
  },
};

const headLikeGet: Fault = {
  id: "request-head",
  what: "HEAD of a stored object",
  expected: { client: "200, GET's headers, 0 bytes" },
  async observe(lab) {
    await stored(lab);
    const plain = (headers: object) => JSON.stringify({ ...headers, date: "", "x-request-id": "" });
    const [asHead, asGet] = [await lab.get({ path: PATH, method: "HEAD" }), await lab.get({ path: PATH })];
    const isSame = plain(asHead.headers) === plain(asGet.headers);
    return { client: `${asHead.status}, ${isSame ? "GET's headers" : "OTHER HEADERS"}, ${asHead.body.length} bytes` };
  },
};

const hopByHop: Fault = {
  id: "request-hop-by-hop",
  what: "the origin sends Connection: X-Secret and hop-by-hop headers",
  expected: { client: "200 whole, 0 of them passed on; from the store: 0" },
  async observe(lab) {
    const path = "/request-hop-by-hop.jpg";
    const names = [
      "X-Secret",
      "Keep-Alive",
      "Proxy-Authenticate",
      "Proxy-Authentication-Info",
      "Trailer",
      "Upgrade",
      "TE",
    ];
    const lines = names.map((name) => `${name}: secret\r\n`).join("");
    lab.script(path, [
      `HTTP/1.1 200 OK\r\nConnection: X-Secret\r\n${lines}Content-Length: ${lab.picture.length}\r\n\r\n`,
      lab.picture,
    ]);
    const passed = (headers: object) => Object.values(headers).filter((value) => value === "secret").length;
    const first = await lab.get({ path });
    const second = await lab.get({ path });
    return {
      client: `${tell(first, lab.picture)}, ${passed(first.headers)} of them passed on; from the store: ${passed(second.headers)}`,
    };
  },
};

const LINE = `GET ${PATH} HTTP/1.1\r\n`;
const HOST = `Host: ${PATIENT}\r\n`;
const END = "Connection: close\r\n\r\n";

/** Id, description, the bytes, expected status and X-ErrNo. */
const RAW: readonly (readonly [string, string, string, string])[] = [
  [
    "options",
    "OPTIONS",
    `OPTIONS ${PATH} HTTP/1.1\r\n${HOST}Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n${END}`,
    "204",
  ],
  ["trace", "TRACE", `TRACE ${PATH} HTTP/1.1\r\n${HOST}${END}`, "405, -103"],
  ["post", "POST", `POST ${PATH} HTTP/1.1\r\n${HOST}Content-Length: 0\r\n${END}`, "405, -103"],
  ["connect", "CONNECT", `CONNECT 127.0.0.1:80 HTTP/1.1\r\n${HOST}${END}`, "405, -103"],
  ["unknown-method", "an unknown method", `BREW ${PATH} HTTP/1.1\r\n${HOST}${END}`, "400, -103"],
  [
    "two-lengths",
    "two Content-Length that differ",
    `${LINE}${HOST}Content-Length: 1\r\nContent-Length: 2\r\n${END}`,
    "400, -103",
  ],
  [
    "two-equal-lengths",
    "two Content-Length that are equal",
    `${LINE}${HOST}Content-Length: 0\r\nContent-Length: 0\r\n${END}`,
    "400, -103",
  ],
  [
    "length-and-chunked",
    "Content-Length beside Transfer-Encoding",
    `${LINE}${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "400, -103",
  ],
  ["unknown-coding", "Transfer-Encoding: gzip", `${LINE}${HOST}Transfer-Encoding: gzip\r\n\r\n`, "400, -103"],
  ["folded", "a folded header", `${LINE}${HOST}X-A: b\r\n c\r\n${END}`, "400, -103"],
  [
    "bare-lf",
    "lines that end in LF alone",
    `GET ${PATH} HTTP/1.1\nHost: ${PATIENT}\nConnection: close\n\n`,
    "400, -103",
  ],
  ["bare-cr", "CR inside a header", `${LINE}${HOST}X-A: b\rc\r\n${END}`, "400, -103"],
  ["blank-before-colon", "a blank before the colon", `${LINE}${HOST}X-A : b\r\n${END}`, "400, -103"],
  ["nul-header", "NUL in a header", `${LINE}${HOST}X-A: b\0c\r\n${END}`, "400, -103"],
  ["no-host", "no Host", `${LINE}${END}`, "400, -107"],
  ["two-hosts", "two Host", `${LINE}${HOST}Host: other.example\r\n${END}`, "400, -107"],
  ["bad-host", "a Host that is no host", `${LINE}Host: a b\r\n${END}`, "400, -107"],
  [
    "absolute-against-host",
    "an absolute target that disagrees with Host",
    `GET http://other.example${PATH} HTTP/1.1\r\n${HOST}${END}`,
    "400, -103",
  ],
  ["fragment", "a raw # in the path", `GET ${PATH}#x HTTP/1.1\r\n${HOST}${END}`, "400, -106"],
  ["upgrade", "Upgrade: websocket", `${LINE}${HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`, "200"],
  ["expect-unknown", "an unknown Expect", `${LINE}${HOST}Expect: tea\r\n${END}`, "400, -103"],
  [
    "chunked-twice",
    "Transfer-Encoding: chunked, chunked",
    `${LINE}${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    "400, -103",
  ],
  [
    "chunked-no-break-space",
    "Transfer-Encoding: chunked with a no-break space behind it",
    `${LINE}${HOST}Transfer-Encoding: chunked\u00a0\r\n\r\n0\r\n\r\n`,
    "400, -103",
  ],
  ["root", "a path that names no image", `GET / HTTP/1.1\r\n${HOST}${END}`, "404, -6101"],
  ["http-1.0", "HTTP/1.0 without Host", `GET ${PATH} HTTP/1.0\r\n\r\n`, "404, -104"],
  ["http-9", "HTTP/9.9", `GET ${PATH} HTTP/9.9\r\n${HOST}${END}`, "400, -103"],
  ["http-2.0", "a request line of HTTP/2.0", `GET ${PATH} HTTP/2.0\r\n${HOST}${END}`, "400, -103"],
  ["http-0.9", "a request line of HTTP/0.9", `GET ${PATH} HTTP/0.9\r\n${HOST}${END}`, "400, -103"],
  [
    "chunked-1.0",
    "HTTP/1.0 with Transfer-Encoding: chunked",
    `GET ${PATH} HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "400, -103",
  ],
  ["http-2", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400, -103"],
  ["tls", "TLS to the plain port", "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003", "400, -103"],
  ["long-url", "a URL of 9 kB", `GET /${"a".repeat(9_000)} HTTP/1.1\r\n${HOST}${END}`, "414, -106"],
  ["long-header", "a header of 20 kB", `${LINE}${HOST}X-A: ${"b".repeat(20_000)}\r\n${END}`, "431, -103"],
  ["many-headers", "3000 headers", `${LINE}${HOST}${"header: x\r\n".repeat(3_000)}${END}`, "431, -103"],
  [
    "body-on-get",
    "a GET with a body, another request behind it",
    `${LINE}${HOST}Content-Length: ${END.length + LINE.length}\r\n\r\n${LINE}${END}`,
    "200",
  ],
];

/** Further bytes on a connection whose response is half sent. */
const BEHIND = [
  ["garbage", "\u0016garbage\r\n\r\n"],
  ["CONNECT", `CONNECT a:1 HTTP/1.1\r\nHost: ${PATIENT}\r\n\r\n`],
  ["an unknown Expect", `GET ${PATH} HTTP/1.1\r\nHost: ${PATIENT}\r\nExpect: tea\r\n\r\n`],
  ["a foreign transfer coding", `GET ${PATH} HTTP/1.1\r\nHost: ${PATIENT}\r\nTransfer-Encoding: gzip\r\n\r\n`],
] as const;

/**
 * An empty line before the first request is allowed, but is no plain request: then node's server answers, otherwise the
 * fast path.
 */
const READERS = [
  ["", ""],
  ["-in-node", "\r\n"],
] as const;

const behind = BEHIND.flatMap(([what, bytes], index) =>
  READERS.map(([reader, before]) => behindFault(`${index}${reader}`, { what, bytes, before })),
);

function behindFault(
  id: string,
  { what, bytes, before }: { readonly what: string; readonly bytes: string; readonly before: string },
): Fault {
  return {
    id: `request-behind-${id}`,
    what: `${what}, after a request ${before === "" ? "" : "that is not plain and "}whose response is half sent`,
    expected: { client: "200, 0 bytes that are not the image's" },
    async observe(lab) {
      const path = `/request-behind-${id}.jpg`;
      const half = lab.picture.length >> 1;
      const socket = connect(lab.program.downloadPort, "127.0.0.1");
      // The program has time to respond or to close the connection before the second half arrives.
      const wasHeard = new Promise<void>((resolve) => {
        socket.once("close", () => resolve());
        setTimeout(resolve, 1_000).unref();
      });
      lab.script(path, async (_request, connection) => {
        await connection.send(lengthHead(lab.picture.length));
        await connection.send(lab.picture.subarray(0, half));
        await wasHeard;
        await connection.send(lab.picture.subarray(half));
      });
      const parts: Buffer[] = [];
      let received = 0;
      socket.on("error", () => {}); // a reset is a valid end too; `close` follows
      socket.on("data", (piece) => {
        parts.push(piece);
        // Sent once: at half of the picture's length the head has certainly arrived, whatever its length.
        if (received < half && received + piece.length >= half) socket.write(bytes);
        received += piece.length;
      });
      socket.write(`${before}GET ${path} HTTP/1.1\r\nHost: ${PATIENT}\r\n\r\n`);
      socket.setTimeout(3_000, () => socket.destroy());
      await once(socket, "close");
      const answer = Buffer.concat(parts);
      const start = answer.indexOf("\r\n\r\n") + 4;
      const body = answer.subarray(start, start + lab.picture.length);
      const isRight = lab.picture.subarray(0, body.length).equals(body);
      return { client: `${answer.toString("latin1", 9, 12)}, ${isRight ? 0 : "SOME"} bytes that are not the image's` };
    },
  };
}

const sentAhead: Fault = {
  id: "request-ahead-reset",
  what: "three requests in one piece for images that are not stored, and a reset before the first is whole",
  expected: { client: "nothing; the origin received 1, 0 and 0 requests" },
  async observe(lab) {
    const paths = ["/ahead-1.jpg", "/ahead-2.jpg", "/ahead-3.jpg"];
    const socket = connect(lab.program.downloadPort, "127.0.0.1");
    const wasClosed = once(socket, "close");
    lab.script(paths[0] as string, async (_request, connection) => {
      await connection.send(lengthHead(lab.picture.length));
      socket.resetAndDestroy();
      await wasClosed;
      // By the time the first image is whole, the program has noticed the reset.
      await delay(500);
      await connection.send(lab.picture);
    });
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: ${PATIENT}\r\n\r\n`).join(""));
    await wasClosed;
    // After this response, the origin would already have received the other two requests.
    await lab.get({ path: paths[0] as string });
    const [first, second, third] = paths.map((path) => lab.asked(path));
    return { client: `nothing; the origin received ${first}, ${second} and ${third} requests` };
  },
};

const raw = RAW.map(
  ([id, what, bytes, expected]): Fault => ({
    id: `raw-${id}`,
    what,
    expected: { client: expected },
    async observe(lab) {
      const answer = await sendRaw(lab.program.downloadPort, bytes, 2_500);
      const errNo = /^X-ErrNo: (-\d+)/im.exec(answer.head)?.[1];
      const heads = answer.body.split("HTTP/1.1 ").length;
      const outcome = errNo === undefined ? `${answer.status}` : `${answer.status}, ${errNo}`;
      return { client: heads === 1 ? outcome : `${outcome}, ${heads} ANSWERS` };
    },
  }),
);

export const requests: FaultGroup = {
  title: "Requests",
  about: "Requests for a stored object, by an HTTP client or byte for byte on a socket.",
  faults: [...conditions, originDate, severalRanges, headLikeGet, hopByHop, ...behind, sentAhead, ...raw],
};
