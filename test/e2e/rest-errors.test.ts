// Provokes every code of the REST API that a request alone can cause. The other codes need a failing disk, origin or
// clock, and are listed with the test that causes them.
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERROR_CODES, restError } from "../../src/core/errors.ts";
import { claimingPng } from "../helpers/hostile-images.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { sendRaw } from "../helpers/raw.ts";
import {
  type CallOptions,
  callApi,
  callRaw,
  fileForm,
  makeForm,
  onceToken,
  tokenFor,
  uploadToken,
} from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const DISABLED = { secretId: "AKIDDISABLED", secretKey: "0123456789abcdefghijABCDEFGHIJKL" };
const STRICT_KEY = { secretId: "AKIDSTRICT", secretKey: "0123456789abcdefghijABCDEFGHIJKL" };
const STOPPED = "10005555";
const STRICT = "10006666";

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
  origin = await startScriptedOrigin({ "/down.jpg": [response("", { status: "503 Service Unavailable" })] });
  installation = await install({
    projects: [
      {
        appid: APPID,
        keys: [KEYS[0], { ...DISABLED, enabled: false }],
        buckets: [
          { name: "photos" },
          { name: "readonly", access: "download" },
          { name: "mirrored", domains: [{ host: "mirrored.example", mirror: mirrorOf(origin.url) }] },
        ],
      },
      { appid: STOPPED, enabled: false, keys: [KEYS[1]], buckets: [{ name: "photos" }] },
      { appid: STRICT, acceptV1Signature: false, keys: [STRICT_KEY], buckets: [{ name: "photos" }] },
    ],
  });
  program = await installation.start();
  const stored = await callApi({
    port: program.downloadPort,
    path: "/there.jpg",
    form: fileForm(jpeg),
    sign: uploadToken(),
  });
  expect(stored.code).toBe(0);
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

const call = (options: Omit<CallOptions, "port">) => callApi({ port: program.downloadPort, ...options });
const upload = (fileid: string, options: Partial<CallOptions> = {}) =>
  call({ path: `/${encodeURIComponent(fileid)}`, form: fileForm(jpeg), sign: uploadToken(fileid), ...options });
const operate = (operation: "copy" | "del", sign: string | undefined, fileid = "there.jpg") =>
  call({ path: `/${fileid}/${operation}`, method: "POST", sign });
const form = (parts: Readonly<Record<string, string | Buffer>>) =>
  makeForm(Object.entries(parts).map(([name, content]) => ({ name, content })));
const seconds = () => Math.floor(Date.now() / 1_000);

const spent = onceToken("there.jpg");

type Case = readonly [code: number, name: string, make: () => Promise<{ status: number; code: number; data: object }>];

const chunked = (body: Buffer) => `${body.length.toString(16)}\r\n${body.toString("latin1")}\r\n0\r\n`;

/** Bodies that node's parser rejects: the client gets the code before the connection is closed. */
const BROKEN = [
  [
    "a length beside a trailer",
    "Transfer-Encoding: chunked",
    () => `${chunked(fileForm(jpeg).body)}Content-Length: 5\r\n\r\n`,
  ],
  ["a chunk of more bytes than can be counted", "Transfer-Encoding: chunked", () => `${"f".repeat(19)}\r\nabc`],
  ["a length that is short of the form", "Content-Length: 100", () => fileForm(jpeg).body.toString("latin1")],
] as const;

function rawUpload(headers: string, body: string): string {
  const head = [
    `POST /photos/v2/${APPID}/photos/0/broken.jpg HTTP/1.1`,
    "Host: a.example",
    `Authorization: ${uploadToken("broken.jpg")}`,
    `Content-Type: ${fileForm(jpeg).contentType}`,
    headers,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

const CASES: readonly Case[] = [
  [-5999, "no bucket in the path", () => call({ target: `/photos/v2/${APPID}` })],
  [-5999, "no userid in the path", () => call({ target: `/photos/v2/${APPID}/photos` })],
  [-5999, "an appid that is no number", () => call({ target: "/photos/v2/abc/photos/0/a.jpg" })],
  [-5999, "a stat without a fileid", () => call({ path: "/" })],
  [-5999, "a broken percent sign", () => call({ path: "/a%zz.jpg", form: fileForm(jpeg), sign: uploadToken() })],
  [-5999, "a fileid that is not UTF-8", () => call({ path: "/%ff%fe.jpg", form: fileForm(jpeg), sign: uploadToken() })],
  [-5999, "NUL in a fileid", () => call({ path: "/a%00b", form: fileForm(jpeg), sign: uploadToken() })],
  [-5999, "a dot segment in a fileid", () => call({ path: "/a%2F..%2Fb", form: fileForm(jpeg), sign: uploadToken() })],
  [-5999, "a fileid of 129 bytes", () => upload("a".repeat(129))],
  [-5999, "a copy of nothing", () => call({ path: "//copy", method: "POST", sign: onceToken("x") })],
  [-5999, "a target of 9000 bytes", () => call({ path: `/${"a".repeat(9_000)}` })],
  [
    -5999,
    "two Host headers",
    () => callRaw(program.downloadPort, [`GET /photos/v2/${APPID}/photos/0/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`]),
  ],
  [
    -5999,
    "no Host header on HTTP/1.1",
    () => callRaw(program.downloadPort, [`GET /photos/v2/${APPID}/photos/0/a HTTP/1.1\r\n\r\n`]),
  ],
  [-5998, "a signature that is not Base64", () => upload("a.jpg", { sign: "%%%" })],
  [-5998, "a signature in the URL-safe alphabet", () => upload("a.jpg", { sign: "-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_" })],
  [-5998, "a signature of 20 bytes", () => upload("a.jpg", { sign: Buffer.alloc(20).toString("base64") })],
  [-5998, "a signature of 5 KB", () => upload("a.jpg", { sign: "A".repeat(5_000) })],
  [-5998, "a Basic header", () => upload("a.jpg", { sign: undefined, headers: { authorization: "Basic dTpw" } })],
  [-5996, "PUT", () => call({ path: "/a.jpg", method: "PUT", headers: { "content-length": "0" } })],
  [-5996, "DELETE", () => call({ path: "/a.jpg", method: "DELETE" })],
  [-5995, "an empty file", () => upload("a.jpg", { form: fileForm(Buffer.alloc(0)) })],
  [-5995, "a file of 20 MB and a byte", () => upload("a.jpg", { form: fileForm(Buffer.alloc(20_971_521, jpeg)) })],
  [-5995, "a body that announces 30 MB", () => upload("a.jpg", { form: fileForm(Buffer.alloc(31_457_280)) })],
  [-5994, "an unknown operation", () => upload("a.jpg", { form: form({ op: "move", FileContent: jpeg }) })],
  [-5993, "no form at all", () => upload("a.jpg", { form: { contentType: "image/jpeg", body: jpeg } })],
  [-5993, "no body", () => call({ path: "/a.jpg", method: "POST", sign: uploadToken() })],
  [-5993, "no boundary", () => upload("a.jpg", { form: { contentType: "multipart/form-data", body: jpeg } })],
  [
    -5993,
    "another boundary",
    () => upload("a.jpg", { form: { ...fileForm(jpeg), contentType: "multipart/form-data; boundary=other" } }),
  ],
  [
    -5993,
    "a form that is cut short",
    () => upload("a.jpg", { form: { ...fileForm(jpeg), body: fileForm(jpeg).body.subarray(0, -10) } }),
  ],
  ...BROKEN.map(
    ([name, headers, body]): Case => [-5993, name, () => callRaw(program.downloadPort, [rawUpload(headers, body())])],
  ),
  [
    -5993,
    "two files",
    () =>
      upload("a.jpg", {
        form: makeForm([
          { name: "FileContent", content: jpeg },
          { name: "filecontent", content: jpeg },
        ]),
      }),
  ],
  [
    -5993,
    "a thousand fields",
    () =>
      upload("a.jpg", {
        form: makeForm(Array.from({ length: 1_000 }, (_, index) => ({ name: `field${index}`, content: "x" }))),
      }),
  ],
  [
    -5992,
    "a MagicContext of 20 KB",
    () => upload("a.jpg", { form: fileForm(jpeg, { MagicContext: "x".repeat(20_000) }) }),
  ],
  [
    -5992,
    "two values of one field",
    () =>
      upload("a.jpg", {
        form: makeForm([
          { name: "FileContent", content: jpeg },
          { name: "Md5", content: "a" },
          { name: "md5", content: "b" },
        ]),
      }),
  ],
  [-5990, "a form without a file", () => upload("a.jpg", { form: form({ MagicContext: "x" }) })],
  [-5990, "a file under another name", () => upload("a.jpg", { form: form({ file: jpeg }) })],
  [-1898, "another MD5", () => upload("a.jpg", { form: fileForm(jpeg, { Md5: "0".repeat(32) }) })],
  [
    -1894,
    "an unknown bucket",
    () => upload("a.jpg", { target: `/photos/v2/${APPID}/none/0/a.jpg`, sign: uploadToken("", "none") }),
  ],
  [-1894, "a stat in an unknown bucket", () => call({ target: `/photos/v2/${APPID}/none/0/a.jpg` })],
  [-1893, "a text", () => upload("a.jpg", { form: fileForm(Buffer.from("hello")) })],
  [-1893, "an image that is cut short", () => upload("a.jpg", { form: fileForm(jpeg.subarray(0, -200)) })],
  [-1893, "a PNG without its pixels", () => upload("a.png", { form: fileForm(claimingPng(1_000, 1_000)) })],
  [
    -1893,
    "a TIFF without a directory",
    () => upload("a.tif", { form: fileForm(Buffer.from("II*\0".padEnd(200, "\0"))) }),
  ],
  [
    -1893,
    "an SVG without its end",
    () => upload("a.svg", { form: fileForm(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><g/>')) }),
  ],
  [-1887, "another SHA-1", () => upload("a.jpg", { form: fileForm(jpeg, { sha: "0".repeat(40) }) })],
  [-1886, "a fileid that exists", () => upload("there.jpg")],
  [-197, "a stat of a missing file", () => call({ path: "/none.jpg" })],
  [-197, "a copy of a missing file", () => operate("copy", onceToken("none.jpg"), "none.jpg")],
  [-197, "a delete of a missing file", () => operate("del", onceToken("none.jpg"), "none.jpg")],
  [
    -97,
    "a key that is not the project's own",
    () =>
      upload("a.jpg", { sign: tokenFor({ life: 60, key: { ...KEYS[0], secretKey: "another key of the same name" } }) }),
  ],
  [-97, "a life of 93 days", () => upload("a.jpg", { sign: tokenFor({ life: 93 * 86_400 }) })],
  [
    -97,
    "a V1 token of a project that takes none",
    () =>
      call({
        target: `/photos/v2/${STRICT}/photos/0/a.jpg`,
        form: fileForm(jpeg),
        sign: tokenFor({ appid: STRICT, bucket: undefined, life: 60, key: STRICT_KEY }),
      }),
  ],
  [
    -96,
    "a signature that expires now",
    () => upload("a.jpg", { sign: tokenFor({ life: 10, issuedAt: seconds() - 10 }) }),
  ],
  [-82, "an unknown project", () => call({ target: "/photos/v2/99999999/photos/0/a.jpg" })],
  [-81, "no signature", () => upload("a.jpg", { sign: undefined })],
  [-81, "no signature for a copy", () => operate("copy", undefined)],
  [
    -79,
    "an unknown key",
    () => upload("a.jpg", { sign: tokenFor({ life: 60, key: { ...KEYS[0], secretId: "AKIDNONE" } }) }),
  ],
  [-79, "a key of another project", () => upload("a.jpg", { sign: tokenFor({ life: 60, key: KEYS[1] }) })],
  [-79, "a disabled key", () => upload("a.jpg", { sign: tokenFor({ life: 60, key: DISABLED }) })],
  [
    -77,
    "a one-time signature the second time",
    async () => {
      expect(await operate("copy", spent)).toMatchObject({ code: 0 });
      return operate("copy", spent);
    },
  ],
  [
    -77,
    "a one-time signature that was spent on a missing file",
    async () => {
      const sign = onceToken("none.jpg");
      expect(await operate("del", sign, "none.jpg")).toMatchObject({ code: -197 });
      return operate("del", sign, "none.jpg");
    },
  ],
  [
    -77,
    "a one-time signature of last year",
    () => operate("del", tokenFor({ fileid: "there.jpg", issuedAt: seconds() - 93 * 86_400 })),
  ],
  [-76, "a one-time signature without a file", () => operate("del", onceToken(""))],
  [
    -75,
    "an upload to a bucket for downloads",
    () => upload("a.jpg", { target: `/photos/v2/${APPID}/readonly/0/a.jpg`, sign: uploadToken("", "readonly") }),
  ],
  [-74, "an upload with a one-time signature", () => upload("a.jpg", { sign: onceToken("a.jpg") })],
  [-73, "a copy with a multi-use signature", () => operate("copy", uploadToken("there.jpg"))],
  [-73, "a delete with a multi-use signature", () => operate("del", uploadToken("there.jpg"))],
  [-70, "a signature for another file", () => upload("a.jpg", { sign: uploadToken("b.jpg") })],
  [
    -70,
    "a bound signature where the server makes the name",
    () => call({ form: fileForm(jpeg), sign: uploadToken("a.jpg") }),
  ],
  [-70, "a delete with a signature for another file", () => operate("del", onceToken("other.jpg"))],
  [-70, "a signature for another bucket", () => upload("a.jpg", { sign: uploadToken("a.jpg", "readonly") })],
  [-64, "a disabled project", () => call({ target: `/photos/v2/${STOPPED}/photos/0/a.jpg` })],
  [-5997, "a stat of history whose origin fails", () => call({ target: `/photos/v2/${APPID}/mirrored/0/down.jpg` })],
  [-5991, "a slice size over 3 MB", () => slices({ slice_size: "3145729" })],
  [-5984, "slices of another image", () => lastSlice(Buffer.alloc(2_000, 1), "0".repeat(40))],
  [-5983, "an unknown session", () => slices({ session: "none" })],
  [-285, "slices of more than 20 MB", () => slices({ filesize: "20971521" })],
  [-284, "a slice at the wrong place", () => sliceAt("4096")],
  [-283, "slices of one byte", () => slices({ slice_size: "1" })],
];

const announced = { op: "upload_slice", sha: createHash("sha1").update("x").digest("hex"), filesize: "9999" };
const slices = (fields: Readonly<Record<string, string>>) =>
  call({ path: "/s.jpg", form: form({ ...announced, ...fields }), sign: uploadToken() });

async function sliceAt(offset: string) {
  const { data } = await slices({ slice_size: "1024" });
  return slices({ session: String(data.session), offset, FileContent: "x".repeat(1_024) });
}

async function lastSlice(bytes: Buffer, sha: string) {
  const own = { sha, filesize: String(bytes.byteLength) };
  const { data } = await slices(own);
  const parts = { op: "upload_slice", session: String(data.session), offset: "0", FileContent: bytes };
  return call({ path: "/s.jpg", form: form(parts), sign: uploadToken() });
}

/** The tests that provoke the other codes. */
const ELSEWHERE: Readonly<Record<number, string>> = {
  [-5989]:
    "test/fault/uploads.test.ts: a full disk; test/unit/serve/http/rest/rest.slow.test.ts: a body that comes too late",
  [-2000]: "test/e2e/rest-slices.test.ts: too many uploads in slices",
  [-71]: "test/e2e/abuse.lab.test.ts: more requests than limits.perClient allows",
  [-199]: "test/fault/uploads.test.ts: a full disk",
  [-190]: "test/fault/uploads.test.ts: a full disk",
};

describe("the REST API", () => {
  test.each(CASES)("answers %i for %s", async (code, _, make) => {
    const answer = await make();
    expect(answer).toMatchObject({ status: 400, code, message: expect.stringMatching(/./), data: {} });
    expect(Object.keys(answer.data)).toEqual([]);
  });

  test("has a case for every code of its table", () => {
    const all = new Set(ERROR_CODES.map((code) => restError(code).code));
    const covered = new Set([...CASES.map(([code]) => code), ...Object.keys(ELSEWHERE).map(Number)]);
    expect([...all].filter((code) => !covered.has(code))).toEqual([]);
  });

  test("returns the documented texts and a request id, and no internals", async () => {
    const { headers, message, chunks } = await upload("there.jpg");
    expect(message).toBe("图片fileid已经存在");
    expect(headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": expect.stringMatching(/^[0-9a-f]{16}-/),
    });
    expect(chunks).toBe(1);
    expect(program.output).not.toContain("0123456789abcdefghijABCDEFGHIJKL");
  });

  test("spends a one-time signature exactly once in a race of 50, in any spelling, and permanently", async () => {
    const sign = onceToken("there.jpg");
    const spellings = [sign, sign.replace(/=+$/, "")];
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => operate("copy", spellings[index % 2])));
    expect(answers.filter(({ code }) => code === 0)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === -77)).toHaveLength(49);
    await program.kill();
    program = await installation.start();
    expect(await operate("copy", sign)).toMatchObject({ code: -77 });
    expect(await operate("del", sign)).toMatchObject({ code: -77 });
  });

  test("prefers the header to the query, and treats several equal signatures as one", async () => {
    const [good, other] = [uploadToken("carried.jpg"), uploadToken("other.jpg")].map(encodeURIComponent);
    const target = (query: string) => `/photos/v2/${APPID}/photos/0/carried.jpg?${query}`;
    const ask = (query: string, sign?: string) => call({ target: target(query), form: fileForm(jpeg), sign });
    expect(await ask(`sign=${good}`, uploadToken("other.jpg"))).toMatchObject({ code: -70 });
    expect(await ask(`sign=${good}&sign=${other}`)).toMatchObject({ code: -5998 });
    expect(await ask(`sign=${good}&x=1&sign=${good}`)).toMatchObject({ code: 0 });
  });

  test("skips a large part that is neither field nor file", async () => {
    const boundary = "passed-over";
    const { contentType, body } = makeForm([{ name: "FileContent", content: jpeg }], boundary);
    const end = Buffer.from(`--${boundary}--\r\n`);
    const file = body.subarray(0, -end.length);
    const seen: number[] = [];
    for (const head of ["", "Content-Type: text/plain\r\n", "Content-Disposition: attachment\r\n"]) {
      const part = Buffer.from(`--${boundary}\r\n${head}\r\n${"z".repeat(20_000)}\r\n`);
      for (const [name, ...pieces] of [
        [`alone${seen.length}.jpg`, part, end],
        [`behind${seen.length}.jpg`, file, part, end],
        [`before${seen.length}.jpg`, part, file, end],
      ] as const) {
        const { code } = await upload(name, { form: { contentType, body: Buffer.concat(pieces) } });
        seen.push(code);
      }
    }
    expect(seen).toEqual([-5990, 0, 0, -5990, 0, 0, -5990, 0, 0]);
  });

  test("responds before the file has arrived, discards it, and ends the connection", async () => {
    const refused = fileForm(Buffer.alloc(1_000_000));
    const head = [
      `POST /photos/v2/${APPID}/photos/0/early.jpg HTTP/1.1`,
      "Host: x",
      `Authorization: ${uploadToken("other.jpg")}`,
      `Content-Length: ${refused.body.byteLength}`,
      `Content-Type: ${refused.contentType}`,
    ];
    const opening = Buffer.from(`${head.join("\r\n")}\r\n\r\n`);
    expect(await callRaw(program.downloadPort, [opening, refused.body.subarray(0, 10)])).toMatchObject({ code: -70 });
    const { head: answered, body } = await sendRaw(program.downloadPort, Buffer.concat([opening, refused.body]));
    expect(answered).toContain("Connection: close");
    expect(JSON.parse(body)).toMatchObject({ code: -70 });
  });

  test.each([
    ["HTTP/1.1", "Connection: close"],
    ["HTTP/1.0", "X-A: b"],
    ["HTTP/1.1", "Expect: 100-continue"],
  ])("reports why a large upload is refused even if the connection ends: %s, %s", async (version, field) => {
    const refused = fileForm(Buffer.alloc(10_000_000));
    const head = [
      `POST /photos/v2/${APPID}/photos/0/early.jpg ${version}`,
      "Host: x",
      `Authorization: ${uploadToken("other.jpg")}`,
      `Content-Length: ${refused.body.byteLength}`,
      `Content-Type: ${refused.contentType}`,
      field,
    ];
    const socket = connect(program.downloadPort, "127.0.0.1");
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    // Like many clients, reads nothing before everything is sent.
    await new Promise<void>((resolve, reject) =>
      socket.write(refused.body, (error) => (error ? reject(error) : resolve())),
    );
    expect(await text(socket)).toMatch(/^Connection: close\r$.*"code":-70/ms);
  });
});
