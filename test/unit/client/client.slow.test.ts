import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Client,
  type ClientOptions,
  createClient,
  HuiyuanClientError,
  processing,
} from "../../../src/client/client.ts";
import { type KeyLookup, parseToken } from "../../../src/serve/sign/token.ts";
import { type ScriptedService, startService } from "../../helpers/scripted-service.ts";
import { verifyToken } from "../../helpers/tokens.ts";

const SECRET = "a secret of the tests";
const NOW = 1_450_000_000;
const KEYS: KeyLookup = () => ({ secretKey: SECRET, enabled: true });
const PLACE = { appid: "10001234", bucket: "photos", userid: "0", acceptV1: false } as const;

const UPLOADED = {
  code: 0,
  message: "SUCCESS",
  data: {
    url: "http://a/photos/v2/10001234/photos/0/a.jpg",
    download_url: "http://d/a.jpg",
    fileid: "a.jpg",
    info: [{ "0": { width: 40, height: 30 } }],
  },
};
const WANTED = { fileid: "a.jpg", downloadUrl: "http://d/a.jpg", url: UPLOADED.data.url, width: 40, height: 30 };
const refused = (code: number, message = "no", data = {}) => ({ status: 400, json: { code, message, data } });

let service: ScriptedService;
let client: Client;
let folder: string;

beforeAll(async () => {
  service = await startService();
  folder = mkdtempSync(join(tmpdir(), "huiyuan-client-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await service.close();
});
beforeEach(() => {
  client = clientWith();
});

function clientWith(changes: Partial<ClientOptions> = {}): Client {
  const { appid, bucket } = PLACE;
  const keys = { secretId: "AKIDONE", secretKey: SECRET };
  return createClient({ endpoint: service.url, appid, bucket, ...keys, now: () => NOW * 1000, ...changes });
}

/** The token of the nth request, from 0. */
function tokenOf(nth: number): string {
  return /^QCloud (\S+)$/.exec(service.requests[nth]?.headers.authorization ?? "")?.[1] ?? "none";
}

async function failure(promise: Promise<unknown>): Promise<HuiyuanClientError> {
  const error: unknown = await promise.then(
    () => "nothing",
    (reason: unknown) => reason,
  );
  if (error instanceof HuiyuanClientError) return error;
  throw error;
}

test.each([66_000, 200_000, 1_100_000])(
  "an answer of %i bytes that closes its connection fails only its own call",
  async (size) => {
    service.answers((_request, response) => {
      response.setHeader("Connection", "close");
      response.end(" ".repeat(size));
    });
    const unread = Array.from({ length: 24 }, async () => (await failure(client.stat("a.jpg"))).name);
    expect(new Set(await Promise.all(unread))).toEqual(new Set(["answer_unreadable"]));
  },
);

describe("upload()", () => {
  const bytes = randomBytes(200_000);
  const md5 = createHash("md5").update(bytes).digest("hex");

  test("sends bytes with their MD5 and returns the stored image", async () => {
    service.answers({ json: UPLOADED });
    const seen: number[] = [];
    const fileid = "图 a+b%/copy";
    const uploaded = await client.upload(bytes, {
      fileid,
      magicContext: '{"user":1}',
      onProgress: ({ sentBytes, totalBytes }) => seen.push(sentBytes, totalBytes),
    });
    expect(uploaded).toEqual(WANTED);
    const [request] = service.requests;
    expect(request?.target).toBe("/photos/v2/10001234/photos/0/%E5%9B%BE%20a%2Bb%25%2Fcopy");
    expect(request?.headers["content-length"]).toBe(String(request?.body.length));
    expect(request?.parts).toEqual({ MagicContext: '{"user":1}', FileContent: bytes.toString("latin1"), Md5: md5 });
    expect(seen.slice(-2)).toEqual([200_000, 200_000]);
    expect(seen.length).toBeGreaterThan(4);
    expect(verifyToken(tokenOf(0), KEYS, { ...PLACE, operation: "upload", fileid }, NOW).kind).toBe("multi-use");
  });

  test.each([
    ["a file", () => pathOf(bytes)],
    ["a Node stream", () => ({ stream: Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]), size: 200_000 })],
    ["a web stream", () => ({ stream: new Blob([bytes]).stream(), size: 200_000 })],
  ])("sends %s", async (_, source) => {
    service.answers({ json: UPLOADED });
    await client.upload(source());
    expect(service.requests[0]?.target).toBe("/photos/v2/10001234/photos/0");
    expect(service.requests[0]?.parts).toEqual({ FileContent: bytes.toString("latin1"), Md5: md5 });
    expect(parseToken(tokenOf(0)).fields.fileid).toBe("");
  });

  test.each([
    ["a path without a file", () => join(folder, "none.jpg"), "argument_invalid"],
    ["a folder", () => folder, "argument_invalid"],
    [
      "a stream that is shorter than its size",
      () => ({ stream: Readable.from([bytes]), size: 200_001 }),
      "argument_invalid",
    ],
    [
      "a stream that is longer than its size",
      () => ({ stream: Readable.from([bytes]), size: 199_999 }),
      "argument_invalid",
    ],
    ["a stream without a valid size", () => ({ stream: Readable.from([bytes]), size: Number.NaN }), "argument_invalid"],
  ])("refuses %s", async (_, source, name) => {
    service.answers({ json: UPLOADED });
    expect(await failure(client.upload(source()))).toMatchObject({ name, code: -1, httpStatus: undefined });
  });

  test.each([[""], ["a\0b"], ["a/../b"], ["."], ["a".repeat(129)], ["\ud800"]])(
    "refuses the fileid %j",
    async (fileid) => {
      service.answers({ json: UPLOADED });
      expect(await failure(client.upload(bytes, { fileid }))).toMatchObject({ name: "argument_invalid" });
      expect(service.requests).toHaveLength(0);
    },
  );

  test("reports that the image is stored if only the callback failed", async () => {
    const callback = { reason: "status", status: 502 };
    service.answers(refused(-5979, "stored, but the callback failed", { ...UPLOADED.data, callback }));
    expect(await failure(client.upload(bytes))).toMatchObject({
      name: "callback_failed",
      code: -5979,
      httpStatus: 400,
      requestId: "req-1",
      stored: true,
      uploaded: { ...WANTED, callback },
    });
  });

  test("returns the answer of the callback's server", async () => {
    service.answers({ json: { ...UPLOADED, data: { ...UPLOADED.data, callback: null } } });
    expect(await client.upload(bytes)).toEqual({ ...WANTED, callback: null });
  });

  test("is retried if the service was too busy, but not if the connection broke", async () => {
    service.answers(refused(-2000), { json: UPLOADED });
    expect(await client.upload(bytes)).toEqual(WANTED);
    expect(service.requests.map(({ parts }) => parts.Md5)).toEqual([md5, md5]);
    service.answers("RST", { json: UPLOADED });
    expect(await failure(client.upload(bytes))).toMatchObject({ name: "network_failed", code: -2, stored: false });
    service.answers(refused(-2000), { json: UPLOADED });
    const stream = { stream: Readable.from([bytes]), size: bytes.length };
    expect(await failure(client.upload(stream))).toMatchObject({ name: "overloaded" });
  });
});

describe("uploadSlices()", () => {
  const bytes = randomBytes(1_000);
  const sha = createHash("sha1").update(bytes).digest("hex");
  const control = { json: { code: 0, message: "SUCCESS", data: { session: "s1", offset: 0, slice_size: 400 } } };
  const accepted = (offset: number) => ({ json: { code: 0, message: "SUCCESS", data: { session: "s1", offset } } });

  test("announces the image, sends slices and returns the stored image", async () => {
    service.answers(control, accepted(0), accepted(400), { json: UPLOADED });
    const seen: unknown[] = [];
    const options = { fileid: "a.jpg", magicContext: "m", sliceBytes: 400, onProgress: (at: unknown) => seen.push(at) };
    expect(await client.uploadSlices(bytes, options)).toEqual(WANTED);
    const announced = { op: "upload_slice", sha, filesize: "1000", slice_size: "400", magicContext: "m" };
    const slice = (from: number, to: number) => ({
      op: "upload_slice",
      session: "s1",
      offset: String(from),
      FileContent: bytes.subarray(from, to).toString("latin1"),
    });
    expect(service.requests.map(({ parts }) => parts)).toEqual([
      announced,
      slice(0, 400),
      slice(400, 800),
      slice(800, 1000),
    ]);
    expect(seen).toEqual([0, 400, 800, 1000].map((sentBytes) => ({ sentBytes, totalBytes: 1000, session: "s1" })));
  });

  test("resumes at the offset that the service names", async () => {
    const resumed = { json: { code: 0, message: "SUCCESS", data: { session: "s1", offset: 800, slice_size: 400 } } };
    service.answers(resumed, { json: UPLOADED });
    await client.uploadSlices(pathOf(bytes), { session: "s1" });
    expect(service.requests.map(({ parts }) => [parts.session, parts.offset, parts.FileContent?.length])).toEqual([
      ["s1", undefined, undefined],
      ["s1", "800", 200],
    ]);
  });

  test("ends after an instant upload", async () => {
    service.answers({ json: UPLOADED });
    expect(await client.uploadSlices(bytes)).toEqual(WANTED);
    expect(service.requests).toHaveLength(1);
  });

  test("retries a slice whose connection broke", async () => {
    service.answers(control, "RST", accepted(0), accepted(400), { json: UPLOADED });
    expect(await client.uploadSlices(bytes)).toEqual(WANTED);
    expect(service.requests.map(({ parts }) => parts.offset)).toEqual([undefined, "0", "0", "400", "800"]);
  });

  test.each([
    ["requests more bytes than the image has", [control, accepted(0), accepted(400), accepted(800)]],
    [
      "names a slice size of 0",
      [{ json: { code: 0, message: "", data: { session: "s1", offset: 0, slice_size: 0 } } }],
    ],
    [
      "names an offset past the end",
      [{ json: { code: 0, message: "", data: { session: "s1", offset: 1000, slice_size: 9 } } }],
    ],
    ["forgets the session", [{ json: { code: 0, message: "", data: { offset: 0, slice_size: 9 } } }]],
  ])("does not loop for ever with a service that %s", async (_, answers) => {
    service.answers(...answers);
    expect(await failure(client.uploadSlices(bytes))).toMatchObject({ name: "answer_unreadable", requestId: "req-1" });
  });
});

describe("stat()", () => {
  const data = {
    file_url: "http://d/a.jpg",
    file_fileid: "a.jpg",
    file_upload_time: "1450000000",
    file_size: "51200",
    file_md5: "0123456789abcdef0123456789abcdef",
    photo_width: "1060",
    photo_height: "1280",
  };
  const json = { code: 0, message: "SUCCESS", data };

  test("reads numbers in digits, without a signature", async () => {
    service.answers({ json });
    expect(await client.stat("a.jpg")).toEqual({
      fileid: "a.jpg",
      downloadUrl: "http://d/a.jpg",
      uploadedAt: new Date(1_450_000_000_000),
      size: 51_200,
      md5: "0123456789abcdef0123456789abcdef",
      width: 1060,
      height: 1280,
    });
    expect(service.requests[0]).toMatchObject({ method: "GET", target: "/photos/v2/10001234/photos/0/a.jpg" });
    expect(service.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("returns undefined for a missing image", async () => {
    service.answers(refused(-197));
    expect(await client.stat("a.jpg")).toBeUndefined();
  });

  test("is retried twice if the connection breaks", async () => {
    service.answers("RST", "RST", { json });
    expect(await client.stat("a.jpg")).toMatchObject({ size: 51_200 });
    service.answers("RST");
    expect(await failure(client.stat("a.jpg"))).toMatchObject({ name: "network_failed", code: -2 });
    expect(service.requests).toHaveLength(3);
  });

  test.each<[string, object, string]>([
    ["a proxy's error page", { status: 502, text: "<html>" }, "answer_unreadable"],
    ["an empty body", { text: "" }, "answer_unreadable"],
    ["JSON without a code", { json: {} }, "answer_unreadable"],
    ["JSON that is not an object", { json: [] }, "answer_unreadable"],
    ["a missing size", { json: { ...json, data: { ...data, file_size: undefined } } }, "answer_unreadable"],
    ["a negative size", { json: { ...json, data: { ...data, file_size: "-1" } } }, "answer_unreadable"],
    ["an answer without end", { text: "x".repeat(1_048_577) }, "answer_unreadable"],
    ["a redirect", { status: 302, text: "", headers: { Location: "http://127.0.0.1:1/" } }, "network_failed"],
  ])("refuses %s", async (_, answer, name) => {
    service.answers(answer);
    expect(await failure(clientWith({ retries: 0 }).stat("a.jpg"))).toMatchObject({ name, code: -2 });
  });
});

describe("copy() and delete()", () => {
  test("use a new one-time token for each attempt", async () => {
    const data = { fileid: "b/c", url: "http://a/0/b%2Fc", download_url: "http://d/b/c" };
    const json = { code: 0, message: "SUCCESS", data };
    service.answers(refused(-2000), { json });
    expect(await client.copy("a/b.jpg")).toEqual({
      fileid: "b/c",
      url: "http://a/0/b%2Fc",
      downloadUrl: "http://d/b/c",
    });
    expect(service.requests.map(({ target }) => target)).toEqual(
      Array(2).fill("/photos/v2/10001234/photos/0/a%2Fb.jpg/copy"),
    );
    for (const nth of [0, 1]) {
      const scope = { ...PLACE, operation: "copy", fileid: "a/b.jpg" } as const;
      expect(verifyToken(tokenOf(nth), KEYS, scope, NOW)).toMatchObject({ kind: "one-time", spend: "once" });
    }
    expect(tokenOf(0)).not.toBe(tokenOf(1));
  });

  test("are not retried if the connection breaks", async () => {
    service.answers("RST");
    expect(await failure(client.delete("a.jpg"))).toMatchObject({ name: "network_failed" });
    expect(service.requests.map(({ target }) => target)).toEqual(["/photos/v2/10001234/photos/0/a.jpg/del"]);
  });

  test("report the refusal", async () => {
    service.answers(refused(-197, "查无此文件"));
    const error = await failure(client.delete("a.jpg"));
    expect(error).toMatchObject({ name: "not_found", code: -197, httpStatus: 400, requestId: "req-1", stored: false });
    expect(error.message).toBe("no such image (-197 查无此文件)");
    service.answers({ json: { code: 0, message: "SUCCESS", data: {} } });
    expect(await client.delete("a.jpg")).toBeUndefined();
  });
});

describe("deadlines", () => {
  test("a silent service times out", async () => {
    service.answers(() => undefined);
    const impatient = clientWith({ timeoutMs: 500, retries: 1 });
    expect(await failure(impatient.stat("a.jpg"))).toMatchObject({ name: "timed_out", code: -2 });
    expect(service.requests).toHaveLength(2);
  });

  test("a service that stalls in its answer times out", async () => {
    service.answers((_, response) => response.writeHead(200, { "X-Request-Id": "req-9" }).write('{"code":'));
    const error = await failure(clientWith({ timeoutMs: 500, retries: 0 }).stat("a.jpg"));
    expect(error).toMatchObject({ name: "timed_out", httpStatus: 200, requestId: "req-9" });
  });

  test("an upload with progress does not time out", async () => {
    service.answers({ json: UPLOADED });
    async function* slowly() {
      for (let at = 0; at < 6; at += 1) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        yield new Uint8Array(10);
      }
    }
    const patient = clientWith({ timeoutMs: 1_200, retries: 0 });
    expect(await patient.upload({ stream: slowly(), size: 60 })).toEqual(WANTED);
  });

  test("an abort rejects with its reason, before, during, and between attempts", async () => {
    const reason = new Error("enough");
    await expect(client.stat("a.jpg", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    service.answers(() => controller.abort(reason));
    await expect(client.stat("a.jpg", { signal: controller.signal })).rejects.toBe(reason);
    const later = new AbortController();
    service.answers((request, response) => {
      response.end(JSON.stringify({ code: -2000, message: "busy", data: {} }), () => later.abort(reason));
      return request;
    });
    await expect(client.stat("a.jpg", { signal: later.signal })).rejects.toBe(reason);
    expect(service.requests).toHaveLength(1);
  });

  test("a refused connection is retried, even for an upload", async () => {
    let attempts = 0;
    const counting: typeof fetch = (...args) => {
      attempts += 1;
      return fetch(...args);
    };
    const closed = await startService();
    await closed.close();
    const away = clientWith({ endpoint: closed.url, fetch: counting, retries: 1 });
    expect(await failure(away.upload(new Uint8Array(1)))).toMatchObject({ name: "network_failed" });
    expect(attempts).toBe(2);
  });
});

describe("url()", () => {
  const at = (changes: Partial<ClientOptions> = {}) =>
    clientWith({ downloads: "https://img.example.com/", ...changes });

  test("escapes names and instructions", () => {
    expect(at().url("图/a b+c%?#.jpg")).toBe("https://img.example.com/%E5%9B%BE/a%20b%2Bc%25%3F%23.jpg");
    expect(at().url("/a//b.jpg")).toBe("https://img.example.com//a//b.jpg");
    const process = processing().fit({ width: 200 }).rotate(90).quality({ exactly: 80 });
    expect(at().url("a.jpg", { process })).toBe(
      "https://img.example.com/a.jpg?imageView2/2/w/200%7CimageMogr2/rotate/90/quality/80!",
    );
    expect(at().url("a.jpg", { process: "imageMogr2/thumbnail/9x9>&x#" })).toBe(
      "https://img.example.com/a.jpg?imageMogr2/thumbnail/9x9%3E%26x%23",
    );
    expect(at().url("a.jpg", { alias: "!small" })).toBe("https://img.example.com/a.jpg!small");
  });

  test("signs for ten minutes or for the given lifetime", () => {
    const url = at().url("a.jpg", { process: processing().info(), sign: true });
    const sign = decodeURIComponent(/^https:\/\/img\.example\.com\/a\.jpg\?imageInfo&sign=(.*)$/.exec(url)?.[1] ?? "");
    const scope = { ...PLACE, operation: "download", fileid: "a.jpg", oneTimeDownloads: "refuse" } as const;
    expect(verifyToken(sign, KEYS, scope, NOW)).toEqual({ kind: "multi-use", expires: NOW + 600 });
    const longer = new URL(at().url("a.jpg", { sign: { lifeSeconds: 60 } })).searchParams.get("sign") ?? "";
    expect(parseToken(longer).fields.expires).toBe(NOW + 60);
  });

  test("derives the default domain of a bucket", () => {
    expect(clientWith({ endpoint: "http://localhost:8080/" }).url("a.jpg")).toBe(
      "http://photos-10001234.localhost:8080/a.jpg",
    );
    for (const endpoint of ["http://127.0.0.1:8080", "http://[::1]:8080"]) {
      expect(() => clientWith({ endpoint }).url("a.jpg")).toThrow(
        expect.objectContaining({ name: "argument_invalid" }),
      );
    }
  });

  test("refuses an alias beside an instruction", () => {
    const both = () => at().url("a.jpg", { alias: "!small", process: "imageInfo" });
    expect(both).toThrow(expect.objectContaining({ name: "argument_invalid" }));
  });
});

describe("sign()", () => {
  test.each([0, -1, 0.5, 7_948_801, Number.NaN])("refuses a life of %j seconds", (lifeSeconds) => {
    const sign = () => client.sign({ operation: "upload", lifeSeconds });
    expect(sign).toThrow(expect.objectContaining({ name: "argument_invalid" }));
  });

  test("refuses an appid that does not survive parsing", () => {
    const sign = () => clientWith({ appid: "1&b=other" }).sign({ operation: "upload" });
    expect(sign).toThrow(expect.objectContaining({ name: "argument_invalid" }));
    try {
      sign();
    } catch (error) {
      expect(String(error)).not.toContain(SECRET);
    }
  });

  test("binds the token to the named file", () => {
    expect(parseToken(client.sign({ operation: "download", fileid: "a.jpg" })).fields.fileid).toBe("a.jpg");
    expect(parseToken(client.sign({ operation: "delete", fileid: "a.jpg" })).fields.expires).toBe(0);
  });
});

test.each(["", "ftp://a", "http://", "http://a/?x", "a:80"])("createClient() refuses the address %j", (address) => {
  for (const option of ["endpoint", "downloads"]) {
    expect(() => clientWith({ [option]: address })).toThrow(expect.objectContaining({ name: "argument_invalid" }));
  }
});

function pathOf(bytes: Uint8Array): string {
  const path = join(folder, "picture.jpg");
  writeFileSync(path, bytes);
  return path;
}
