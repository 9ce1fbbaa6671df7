// A coded body arrives decoded, or fails with the code of its fault.
import { createHash, randomBytes } from "node:crypto";
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import {
  type ContentCoding,
  DecodedBody,
  type DecodingOptions,
} from "../../../../../src/serve/origin/exchange/decoded-body.ts";
import type { OriginBody, OriginSink } from "../../../../../src/serve/origin/origin.ts";

const MAX_BYTES = 8_388_608;
const LOGO = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${"<path d='M0 0'/>".repeat(9)}</svg>`);
/** Compressible a little, and longer than all buffers of a decoder. */
const LARGE = Buffer.concat(
  Array.from({ length: 40 }, () => Buffer.concat([randomBytes(20_000), Buffer.alloc(9_000)])),
);

interface Arriving extends OriginBody {
  readonly pauses: number;
  readonly isDestroyed: boolean;
}

/** A body of these chunks, one in each turn of the event loop, which obeys pauses. */
function arriving(chunks: readonly Buffer[], failure?: Error): Arriving {
  let [index, pauses, isPaused, isDestroyed] = [0, 0, false, false];
  let sink: OriginSink | undefined;
  const next = () => {
    if (isPaused || isDestroyed || sink === undefined) return;
    const chunk = chunks[index++];
    if (chunk === undefined) {
      const to = sink;
      sink = undefined;
      return failure === undefined ? to.end() : to.error(failure);
    }
    isPaused = !sink.data(chunk);
    if (isPaused) pauses += 1;
    setImmediate(next);
  };
  return {
    start(to) {
      sink = to;
      next();
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      setImmediate(next);
    },
    destroy() {
      isDestroyed = true;
    },
    over: Promise.resolve(undefined),
    get pauses() {
      return pauses;
    },
    get isDestroyed() {
      return isDestroyed;
    },
  };
}

const split = (bytes: Buffer, length: number) =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) => bytes.subarray(at * length, (at + 1) * length));

const optionsOf = (coding: ContentCoding, more: Partial<DecodingOptions> = {}): DecodingOptions => ({
  ...{ coding, maxBytes: MAX_BYTES, digests: {}, windows: { bytes: 0 }, url: "http://origin.example/a.svg" },
  ...more,
});

/** Reads to the end; the code of the error, if there is one. */
function read(body: OriginBody): Promise<{ readonly bytes: Buffer; readonly code: string | undefined }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const done = (error?: Error) => {
      const code = error instanceof HuiyuanError ? error.code : error?.message;
      resolve({ bytes: Buffer.concat(chunks), code });
    };
    body.start({ data: (chunk) => chunks.push(chunk) > 0, end: () => done(), error: done });
  });
}

const ENCODERS: readonly (readonly [string, ContentCoding, (bytes: Buffer) => Buffer])[] = [
  ["gzip", "gzip", (bytes) => gzipSync(bytes)],
  ["deflate with the zlib header", "deflate", (bytes) => deflateSync(bytes)],
  ["deflate without it", "deflate", (bytes) => deflateRawSync(bytes)],
  ["br", "br", (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })],
];

describe.each(ENCODERS)("%s", (_, coding, encode) => {
  test("a body arrives decoded, in chunks of any length", async () => {
    for (const [plain, length] of [
      [LOGO, 1],
      [LOGO, 1_000],
      [LARGE, 65_536],
    ] as const) {
      const windows = { bytes: 0 };
      const { bytes, code } = await read(
        new DecodedBody(arriving(split(encode(plain), length)), optionsOf(coding, { windows })),
      );
      expect([code, bytes.equals(plain), windows.bytes]).toEqual([undefined, true, 0]);
    }
  });

  test("a sink that pauses gets every byte, and pauses the origin", async () => {
    const inner = arriving(split(encode(LARGE), 16_384));
    const body = new DecodedBody(inner, optionsOf(coding));
    const chunks: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      body.start({
        data(chunk) {
          chunks.push(chunk);
          setTimeout(() => body.resume(), 1);
          return false;
        },
        end: resolve,
        error: reject,
      });
    });
    expect(Buffer.concat(chunks).equals(LARGE)).toBe(true);
    expect(inner.pauses).toBeGreaterThan(0);
  });

  test("a body that ends before its coding is origin_truncated", async () => {
    const coded = encode(LOGO);
    for (let length = 1; length < coded.length; length += 1) {
      const { code } = await read(new DecodedBody(arriving([coded.subarray(0, length)]), optionsOf(coding)));
      expect([length, code]).toEqual([length, "origin_truncated"]);
    }
  });

  test("bytes after the end are origin_encoded, in the same chunk or a later one", async () => {
    const coded = encode(LOGO);
    for (const more of [Buffer.alloc(8), Buffer.from("garbage"), Buffer.alloc(300_000, "x")]) {
      for (const chunks of [[Buffer.concat([coded, more])], [coded, more], [coded, ...split(more, 1_000)]]) {
        const inner = arriving(chunks);
        expect((await read(new DecodedBody(inner, optionsOf(coding)))).code).toBe("origin_encoded");
        expect(inner.isDestroyed).toBe(true);
      }
    }
  });

  test("a bomb is refused by its proportion, and a longer body than allowed by its size", async () => {
    const bomb = arriving([encode(Buffer.alloc(MAX_BYTES / 2))]);
    const { bytes, code } = await read(new DecodedBody(bomb, optionsOf(coding)));
    expect([code, bytes.length <= 1_048_576, bomb.isDestroyed]).toEqual(["origin_too_large", true, true]);
    const large = await read(
      new DecodedBody(arriving([encode(LARGE)]), optionsOf(coding, { maxBytes: LARGE.length - 1 })),
    );
    expect([large.code, large.bytes.length < LARGE.length]).toEqual(["origin_too_large", true]);
  });

  test("bytes in no such coding are refused", async () => {
    for (const lie of ["\xff\xd8\xff\xe0\0\x10JFIF\0", "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "<svg></svg>"]) {
      const { code, bytes } = await read(new DecodedBody(arriving([Buffer.from(lie, "latin1")]), optionsOf(coding)));
      expect(["origin_encoded", "origin_truncated"]).toContain(code);
      expect(bytes.length).toBeLessThan(100);
    }
  });

  test("the origin's failure is passed on, and a destroyed body calls nobody", async () => {
    const coded = encode(LARGE);
    const failure = new HuiyuanError("origin_timeout", "too slow");
    expect((await read(new DecodedBody(arriving([coded.subarray(0, 50_000)], failure), optionsOf(coding)))).code).toBe(
      "origin_timeout",
    );
    const windows = { bytes: 0 };
    const body = new DecodedBody(arriving(split(coded, 10_000)), optionsOf(coding, { windows }));
    let calls = 0;
    await new Promise<void>((resolve) => {
      const note = () => {
        calls += 1;
        body.destroy();
        setTimeout(resolve, 50);
        return true;
      };
      body.start({ data: note, end: note, error: note });
    });
    expect([calls, windows.bytes]).toEqual([1, 0]);
  });

  test("an empty body is empty", async () => {
    expect(await read(new DecodedBody(arriving([]), optionsOf(coding)))).toEqual({
      bytes: Buffer.alloc(0),
      code: undefined,
    });
  });
});

test("several members of gzip are one body", async () => {
  const coded = Buffer.concat([gzipSync(LOGO), gzipSync(LOGO)]);
  for (const chunks of [[coded], split(coded, 7), [gzipSync(LOGO), gzipSync(LOGO)]])
    expect((await read(new DecodedBody(arriving(chunks), optionsOf("gzip")))).bytes).toEqual(
      Buffer.concat([LOGO, LOGO]),
    );
});

test("a wrong checksum of gzip is origin_encoded", async () => {
  const coded = gzipSync(LOGO);
  coded[coded.length - 6] = (coded[coded.length - 6] ?? 0) ^ 1;
  expect((await read(new DecodedBody(arriving([coded]), optionsOf("gzip")))).code).toBe("origin_encoded");
});

test("digests of the coded bytes are removed before the end, and others stay", async () => {
  const coded = gzipSync(LOGO);
  const digestOf = (name: string, bytes: Buffer) => createHash(name).update(bytes).digest();
  const ofDecoded = digestOf("sha1", LOGO);
  const digests = { md5: digestOf("md5", coded), sha1: ofDecoded, sha256: digestOf("sha256", Buffer.from("other")) };
  expect(
    (await read(new DecodedBody(arriving(split(coded, 11)), optionsOf("gzip", { digests })))).code,
  ).toBeUndefined();
  expect(digests).toEqual({ sha1: ofDecoded, sha256: digestOf("sha256", Buffer.from("other")) });
});

test("a paused body that is resumed and destroyed in one turn holds no memory of brotli decoders", async () => {
  const windows = { bytes: 0 };
  const coded = brotliCompressSync(LARGE, { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } });
  const body = new DecodedBody(arriving([coded]), optionsOf("br", { windows }));
  let calls = 0;
  const note = () => {
    calls += 1;
    return false;
  };
  body.start({ data: note, end: note, error: note });
  await vi.waitFor(() => expect([calls > 0, windows.bytes > 0]).toEqual([true, true]), 5_000);
  const before = calls;
  body.resume();
  body.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([calls, windows.bytes]).toEqual([before, 0]);
});

test("brotli beyond the memory of all decoders is overloaded, and its memory is free again", async () => {
  const windows = { bytes: 134_217_728 - 100_000 };
  const coded = brotliCompressSync(LARGE, { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } });
  const { code } = await read(new DecodedBody(arriving(split(coded, 65_536)), optionsOf("br", { windows })));
  expect([code, windows.bytes]).toEqual(["overloaded", 134_217_728 - 100_000]);
  expect(
    (await read(new DecodedBody(arriving([gzipSync(LARGE)]), optionsOf("gzip", { windows })))).code,
  ).toBeUndefined();
});
