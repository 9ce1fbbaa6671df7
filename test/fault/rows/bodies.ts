// Rows about bodies that are cut, foreign, empty, damaged or mislabelled, and about responses with various policy
// headers.
import { createHash } from "node:crypto";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { chunk, head, response } from "../../helpers/scripted-origin.ts";
import type { FaultGroup } from "../fault.ts";
import { getFresh, halfOf, lengthHead, tell } from "../lab.ts";
import { type MissFault, missFault, NOT_STORED, STORED } from "./misses.ts";

const chunked = head("200 OK", [["Transfer-Encoding", "chunked"]]);
const close = head("200 OK", [["Connection", "close"]]);
const BROKEN = { client: "200 broken", requests: 1, ...NOT_STORED } as const;
const REFUSED = { client: "424, -120", requests: 1, ...NOT_STORED } as const;
const GOOD = { client: "200 whole", requests: 1, ...STORED } as const;
const PASSED = { client: "200 whole, -120, no-store", requests: 1, ...NOT_STORED } as const;

const digest = (name: string, bytes: Buffer) => createHash(name).update(bytes).digest("base64");

const CUTS: readonly MissFault[] = [
  {
    id: "length-fin",
    what: "half of the declared length, then FIN",
    script: ({ picture }) => [lengthHead(picture.length), halfOf(picture), "CLIENT HAS HEAD", "FIN"],
    expected: BROKEN,
  },
  {
    id: "length-rst",
    what: "half of the declared length, then RST",
    script: ({ picture }) => [lengthHead(picture.length), halfOf(picture), "CLIENT HAS HEAD", "RST"],
    expected: BROKEN,
  },
  {
    id: "length-fin-at-once",
    what: "a declared length and no body, then FIN",
    script: ({ picture }) => [lengthHead(picture.length), "FIN"],
    expected: { ...REFUSED, requests: 2 },
  },
  {
    id: "length-fin-at-once-once",
    what: "a declared length and no body, then FIN; the image on retry",
    script: ({ picture }) => ({ inTurn: [[lengthHead(picture.length), "FIN"], [response(picture)]] }),
    expected: { ...GOOD, requests: 2 },
  },
  {
    id: "length-two-bytes",
    what: "two bytes of the declared length, which show no image, then RST; the image on retry",
    script: ({ picture }) => ({
      inTurn: [[lengthHead(picture.length), picture.subarray(0, 2), "RST"], [response(picture)]],
    }),
    expected: { ...GOOD, requests: 2 },
  },
  {
    id: "last-byte-missing",
    what: "all but the last byte of the declared length, then FIN",
    script: ({ picture }) => [lengthHead(picture.length), picture.subarray(0, -1), "CLIENT HAS HEAD", "FIN"],
    expected: BROKEN,
  },
  {
    id: "no-last-chunk",
    what: "a whole image in chunks without the last chunk, then FIN",
    script: ({ picture }) => [chunked, chunk(picture), "CLIENT HAS HEAD", "FIN"],
    expected: BROKEN,
  },
  {
    id: "half-chunks",
    what: "half of an image in chunks with the last chunk",
    script: ({ picture }) => [chunked, chunk(halfOf(picture)), "CLIENT HAS HEAD", chunk("")],
    expected: BROKEN,
  },
  {
    id: "chunk-cut",
    what: "FIN inside a chunk",
    script: ({ picture }) => [chunked, chunk(picture).subarray(0, 50_000), "CLIENT HAS HEAD", "FIN"],
    expected: BROKEN,
  },
  {
    id: "chunk-size-broken",
    what: "a chunk size that is no number",
    script: ({ picture }) => [chunked, chunk(halfOf(picture)), "CLIENT HAS HEAD", "zz\r\n"],
    expected: BROKEN,
  },
  {
    id: "close-cut",
    what: "close-delimited, half of the image",
    script: ({ picture }) => [close, halfOf(picture), "CLIENT HAS HEAD", "FIN"],
    expected: BROKEN,
  },
  {
    id: "close-rst",
    what: "close-delimited, RST after the whole image",
    script: ({ picture }) => [close, picture, "CLIENT HAS HEAD", "RST"],
    expected: BROKEN,
  },
  {
    id: "close-whole",
    what: "close-delimited, the whole image",
    script: ({ picture }) => [close, picture, "FIN"],
    expected: GOOD,
  },
  {
    id: "length-differs-on-retry",
    what: "half of one image, and at the next request another image of another length",
    script: ({ picture, otherPicture }) => ({
      inTurn: [[lengthHead(picture.length), halfOf(picture), "CLIENT HAS HEAD", "FIN"], [response(otherPicture)]],
    }),
    ask: async (lab, path) => {
      const first = tell(await lab.get({ path }), lab.picture);
      return `${first}; ${tell(await getFresh(lab, { path }), lab.otherPicture)}`;
    },
    good: ({ otherPicture }) => otherPicture,
    expected: { client: "200 broken; 200 whole", requests: 2, ...STORED },
  },
];

const FOREIGN: readonly MissFault[] = [
  {
    id: "html",
    what: "an HTML page declared image/jpeg",
    script: () => [
      response("<!doctype html><title>Please log in</title>", { headers: { "Content-Type": "image/jpeg" } }),
    ],
    expected: REFUSED,
  },
  {
    id: "json",
    what: "a JSON error under status 200",
    script: () => [response('{"error":"no such file"}', { headers: { "Content-Type": "application/json" } })],
    expected: REFUSED,
  },
  {
    id: "empty-length",
    what: "Content-Length: 0",
    script: () => [response("", { headers: { "Content-Type": "image/jpeg" } })],
    expected: REFUSED,
  },
  { id: "empty-chunks", what: "only the last chunk", script: () => [chunked, chunk("")], expected: REFUSED },
  { id: "empty-close", what: "close-delimited, no byte", script: () => [close, "FIN"], expected: REFUSED },
  {
    id: "one-byte",
    what: "one byte of a JPEG, length met",
    script: ({ picture }) => [response(picture.subarray(0, 1))],
    expected: REFUSED,
  },
  {
    id: "zeros",
    what: "the declared length in zeros",
    script: ({ picture }) => [response(Buffer.alloc(picture.length))],
    expected: REFUSED,
  },
  {
    id: "too-large-declared",
    what: "a declared length over the limit",
    script: () => [lengthHead(1_048_577), "HANG"],
    expected: REFUSED,
  },
  {
    id: "too-large-chunks",
    what: "a chunked image that exceeds the limit of 1 MiB",
    script: ({ picture }) => [
      chunked,
      chunk(picture),
      "CLIENT HAS HEAD",
      ...Array(12).fill(chunk(Buffer.alloc(100_000))),
      "HANG",
    ],
    ask: async (lab, path) => tell(await lab.get({ path }), Buffer.concat([lab.picture, Buffer.alloc(1_200_000)])),
    expected: BROKEN,
  },
  {
    id: "png-as-jpeg",
    what: "a whole PNG declared image/jpeg",
    script: ({ png }) => [response(png, { headers: { "Content-Type": "image/jpeg" } })],
    ask: async (lab, path) => {
      const seen = await lab.get({ path });
      return `${tell(seen, lab.png)}, ${seen.headers["content-type"]}`;
    },
    good: ({ png }) => png,
    expected: { client: "200 whole, image/png", requests: 1, ...STORED },
  },
];

const SVG = Buffer.from(
  `<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">${'<path d="M0 0h9v9z"/>'.repeat(2_000)}</svg>\n`,
);
const HTML_WITH_SVG = `<!doctype html><html><body>${SVG.toString()}</body></html>`;
const BEFORE_ZEROS = SVG.subarray(0, 1_000);

const codedAs = (coding: string) =>
  head("200 OK", [
    ["Transfer-Encoding", "chunked"],
    ["Content-Encoding", coding],
  ]);
const coded = (coding: string, bytes: Buffer, headers: Readonly<Record<string, string>> = {}) => [
  response(bytes, { headers: { "Content-Encoding": coding, ...headers } }),
];

const TEXTS: readonly MissFault[] = [
  {
    id: "svg",
    what: "a whole SVG declared text/plain",
    script: () => [response(SVG, { headers: { "Content-Type": "text/plain" } })],
    ask: async (lab, path) => {
      const seen = await lab.get({ path });
      return `${tell(seen, SVG)}, ${seen.headers["content-type"]}, ${seen.headers["content-security-policy"]}`;
    },
    good: () => SVG,
    expected: {
      client: "200 whole, image/svg+xml, default-src 'none'; style-src 'unsafe-inline'; sandbox",
      requests: 1,
      ...STORED,
    },
  },
  {
    id: "svg-no-end",
    what: "an SVG without its end tag, declared length met",
    script: () => [response(SVG.subarray(0, -7))],
    ask: async (lab, path) => tell(await lab.get({ path }), SVG.subarray(0, -7)),
    good: () => SVG,
    expected: PASSED,
  },
  {
    id: "svg-half-chunks",
    what: "half of an SVG in chunks with the last chunk",
    script: () => [chunked, chunk(halfOf(SVG)), "CLIENT HAS HEAD", chunk("")],
    good: () => SVG,
    expected: BROKEN,
  },
  {
    id: "html-with-svg",
    what: "an HTML page with an SVG inside, declared image/svg+xml",
    script: () => [response(HTML_WITH_SVG, { headers: { "Content-Type": "image/svg+xml" } })],
    expected: REFUSED,
  },
];

const CODED: readonly MissFault[] = [
  {
    id: "gzip",
    what: "Content-Encoding: gzip that was not requested",
    script: ({ picture }) => coded("gzip", gzipSync(picture)),
    expected: GOOD,
  },
  {
    id: "deflate",
    what: "Content-Encoding: deflate",
    script: ({ picture }) => coded("deflate", deflateSync(picture)),
    expected: GOOD,
  },
  {
    id: "deflate-raw",
    what: "Content-Encoding: deflate without the zlib header",
    script: ({ picture }) => coded("deflate", deflateRawSync(picture)),
    expected: GOOD,
  },
  {
    id: "br-chunks",
    what: "Content-Encoding: br in chunks",
    script: ({ picture }) => [codedAs("br"), chunk(brotliCompressSync(picture)), chunk("")],
    expected: GOOD,
  },
  {
    id: "gzip-md5-of-coded",
    what: "gzip with the Content-MD5 of the coded bytes",
    script: ({ picture }) => {
      const bytes = gzipSync(picture);
      return coded("gzip", bytes, { "Content-MD5": digest("md5", bytes) });
    },
    expected: GOOD,
  },
  {
    id: "gzip-md5-of-other",
    what: "gzip of a small image with a Content-MD5 of other bytes",
    script: ({ smallPicture }) =>
      coded("gzip", gzipSync(smallPicture), { "Content-MD5": digest("md5", Buffer.from("other")) }),
    good: ({ smallPicture }) => smallPicture,
    expected: PASSED,
  },
  {
    id: "gzip-lie",
    what: "Content-Encoding: gzip before the bytes of the image itself",
    script: ({ picture }) => coded("gzip", picture),
    expected: REFUSED,
  },
  {
    id: "gzip-of-html",
    what: "gzip of an HTML page",
    script: () => coded("gzip", gzipSync("<!doctype html><title>Please log in</title>")),
    expected: REFUSED,
  },
  {
    id: "gzip-twice",
    what: "Content-Encoding: gzip, gzip",
    script: ({ picture }) => coded("gzip, gzip", gzipSync(gzipSync(picture))),
    expected: REFUSED,
  },
  {
    id: "gzip-cut",
    what: "a gzip without its last byte in chunks with the last chunk",
    script: ({ picture }) => [codedAs("gzip"), chunk(gzipSync(picture).subarray(0, -1)), "CLIENT HAS HEAD", chunk("")],
    expected: BROKEN,
  },
  {
    id: "gzip-cut-fin",
    what: "all but the last byte of the declared length of a gzip, then FIN",
    script: ({ picture }) => {
      const bytes = gzipSync(picture);
      const declared = [
        ["Content-Length", String(bytes.length)],
        ["Content-Encoding", "gzip"],
      ] as const;
      return [head("200 OK", declared), bytes.subarray(0, -1), "CLIENT HAS HEAD", "FIN"];
    },
    expected: BROKEN,
  },
  {
    id: "gzip-of-cut",
    what: "a whole gzip of half a small image, declared length met",
    script: ({ smallPicture }) => coded("gzip", gzipSync(halfOf(smallPicture))),
    good: ({ smallPicture }) => smallPicture,
    expected: { ...REFUSED, requests: 2 },
  },
  {
    id: "gzip-garbage",
    what: "gzip of a small image with bytes behind its end",
    script: ({ smallPicture }) => coded("gzip", Buffer.concat([gzipSync(smallPicture), Buffer.from("garbage")])),
    good: ({ smallPicture }) => smallPicture,
    expected: REFUSED,
  },
  {
    id: "gzip-bomb",
    what: "0.1 MB of gzip that decode to 100 MB",
    script: () => coded("gzip", gzipSync(Buffer.concat([BEFORE_ZEROS, Buffer.alloc(100_000_000)]))),
    ask: async (lab, path) => tell(await lab.get({ path }), Buffer.concat([BEFORE_ZEROS, Buffer.alloc(2_000_000)])),
    good: () => SVG,
    expected: BROKEN,
  },
];

const DAMAGED: readonly MissFault[] = [
  {
    id: "no-end-of-image",
    what: "a JPEG without its end, declared length met",
    script: ({ smallPicture }) => [response(smallPicture.subarray(0, -2))],
    ask: async (lab, path) => tell(await lab.get({ path }), lab.smallPicture.subarray(0, -2)),
    expected: PASSED,
  },
  {
    id: "wrong-md5",
    what: "a Content-MD5 of other bytes",
    script: ({ smallPicture }) => [
      response(smallPicture, { headers: { "Content-MD5": digest("md5", Buffer.from("other")) } }),
    ],
    good: ({ smallPicture }) => smallPicture,
    expected: PASSED,
  },
  {
    id: "wrong-md5-late",
    what: "a Content-MD5 of other bytes, and the last bytes of the image come later; clients want those alone",
    script: ({ picture }) => [
      head("200 OK", [
        ["Content-Length", String(picture.length)],
        ["Content-MD5", digest("md5", Buffer.from("other"))],
      ]),
      halfOf(picture),
      { pause: 500 },
      picture.subarray(halfOf(picture).length),
    ],
    ask: async (lab, path) => tell(await lab.get({ path, headers: { Range: "bytes=-100" } }), lab.picture),
    expected: REFUSED,
  },
  {
    id: "right-md5",
    what: "the right Content-MD5",
    script: ({ picture }) => [response(picture, { headers: { "Content-MD5": digest("md5", picture) } })],
    expected: GOOD,
  },
  {
    id: "wrong-digest",
    what: "a Repr-Digest of other bytes",
    script: ({ smallPicture }) => [
      response(smallPicture, { headers: { "Repr-Digest": `sha-256=:${digest("sha256", Buffer.from("other"))}:` } }),
    ],
    good: ({ smallPicture }) => smallPicture,
    expected: PASSED,
  },
  {
    id: "trailing-bytes",
    what: "a whole JPEG with 100 bytes behind its end",
    script: ({ picture }) => [response(Buffer.concat([picture, Buffer.alloc(100)]))],
    good: ({ picture }) => Buffer.concat([picture, Buffer.alloc(100)]),
    expected: GOOD,
  },
];

const withHeader =
  (name: string, value: string): MissFault["script"] =>
  ({ picture }) => [response(picture, { headers: { [name]: value } })];

const POLICY: readonly MissFault[] = [
  {
    id: "set-cookie",
    what: "a whole image with Set-Cookie",
    script: withHeader("Set-Cookie", "session=secret"),
    ask: async (lab, path) => {
      const seen = [await lab.get({ path }), await lab.get({ path })];
      const cookies = seen.filter(({ headers }) => headers["set-cookie"] !== undefined).length;
      return `${seen.map((each) => tell(each, lab.picture)).join("; ")}, ${cookies} cookies`;
    },
    expected: { client: "200 whole; 200 whole, 0 cookies", requests: 1, ...STORED },
  },
  { id: "vary-star", what: "a whole image with Vary: *", script: withHeader("Vary", "*"), expected: GOOD },
  {
    id: "private",
    what: "a whole image with Cache-Control: private, no-store",
    script: withHeader("Cache-Control", "private, no-store"),
    expected: GOOD,
  },
  {
    id: "etag-changes",
    what: "another image under another ETag at each request, clients take it in two ranges",
    script: ({ picture, otherPicture }) => ({
      inTurn: [picture, otherPicture].map((bytes, index) => [response(bytes, { headers: { ETag: `"${index}"` } })]),
    }),
    ask: async (lab, path) => {
      const first = await lab.get({ path, headers: { Range: "bytes=0-99" } });
      const second = await lab.get({ path, headers: { Range: "bytes=100-" } });
      const isOne = Buffer.concat([first.body, second.body]).equals(lab.picture);
      return `${first.status}, ${second.status}, ${isOne ? "one image" : "TWO IMAGES"}`;
    },
    expected: { client: "206, 206, one image", requests: 1, ...STORED },
  },
];

export const bodies: FaultGroup = {
  title: "Bodies",
  about:
    "Faulty bodies after a good response head. `broken`: the connection to the client ended without a clean end, so no client accepts the bytes as an image.",
  faults: [...CUTS, ...FOREIGN, ...TEXTS, ...CODED, ...DAMAGED, ...POLICY].map(missFault),
};
