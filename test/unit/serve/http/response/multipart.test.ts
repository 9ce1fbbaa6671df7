import fc from "fast-check";
import { expect, test } from "vitest";
import type { ByteRange } from "../../../../../src/core/object.ts";
import { createMultipart, type Multipart } from "../../../../../src/serve/http/response/pump.ts";

const BODY = Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 7) % 251));
const SHAPE = { size: BODY.byteLength, mediaType: "image/png", boundary: "0123456789abcdef01234567" };

function write({ heads, trailer }: Multipart, ranges: readonly ByteRange[]): Buffer {
  const parts = ranges.flatMap(({ start, end }, index) => [heads[index]!, BODY.subarray(start, end + 1)]);
  return Buffer.concat([...parts, trailer]);
}

test("createMultipart() frames each range with its type and position, as in RFC 9110 §14.6", () => {
  const ranges = [
    { start: 65, end: 66 },
    { start: 68, end: 68 },
  ];
  const multipart = createMultipart(ranges, { ...SHAPE, boundary: "THIS" });
  expect(multipart.mediaType).toBe("multipart/byteranges; boundary=THIS");
  const [a, b, , c] = [...BODY.subarray(65, 69)].map((byte) => String.fromCharCode(byte));
  expect(write(multipart, ranges).toString("latin1")).toBe(
    "--THIS\r\nContent-Type: image/png\r\nContent-Range: bytes 65-66/200\r\n\r\n" +
      `${a}${b}\r\n--THIS\r\nContent-Type: image/png\r\nContent-Range: bytes 68-68/200\r\n\r\n${c}\r\n--THIS--\r\n`,
  );
});

/** Parses a body as a client does, by its boundary and its empty lines. */
function readParts(body: Buffer, boundary: string): { readonly place: string; readonly bytes: Buffer }[] {
  const text = body.toString("latin1");
  expect(text.endsWith(`\r\n--${boundary}--\r\n`)).toBe(true);
  const [before, ...sections] = `\r\n${text}`.split(`\r\n--${boundary}`);
  expect([before, sections.pop()]).toEqual(["", "--\r\n"]);
  return sections.map((section) => {
    const blank = section.indexOf("\r\n\r\n");
    const place = /^Content-Range: bytes (\S+)$/m.exec(section.slice(0, blank))?.[1] ?? "";
    return { place, bytes: Buffer.from(section.slice(blank + 4), "latin1") };
  });
}

test("createMultipart() declares the length of the bytes written, and a client can parse the ranges", () => {
  const range = fc.tuple(fc.nat({ max: 199 }), fc.nat({ max: 199 })).map(([one, other]) => ({
    start: Math.min(one, other),
    end: Math.max(one, other),
  }));
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 16 }), (ranges) => {
      const multipart = createMultipart(ranges, SHAPE);
      const body = write(multipart, ranges);
      expect(body.byteLength).toBe(multipart.length);
      expect(readParts(body, SHAPE.boundary)).toEqual(
        ranges.map(({ start, end }) => ({ place: `${start}-${end}/200`, bytes: BODY.subarray(start, end + 1) })),
      );
    }),
  );
});
