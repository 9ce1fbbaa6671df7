// A body that is not an image is refused, and no bytes make the gate throw, hang or grow.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createGate } from "../../../../../src/serve/body/gate/gate.ts";
import { gated, gatedIn } from "../../../../helpers/gated.ts";
import { jpegWithRestarts, noisyAvif, noisyBmp, noisyGif, noisyPng, noisyWebp } from "../../../../helpers/images.ts";

const WHOLE_END = { framing: "length", isFramingWhole: true, isHashRight: true } as const;

describe("foreign bodies", () => {
  test.each([
    ["HTML", "<!DOCTYPE html><html><body>Not Found</body></html>"],
    ["HTML after blanks", " \r\n\t<html></html>"],
    ["SVG in UTF-16", "\xff\xfe<\0s\0v\0g\0/\0>\0"],
    ["XML", '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'],
    ["JSON", '{"error":"no such key"}'],
    ["PDF", "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"],
    ["PostScript", "%!PS-Adobe-3.0 EPSF-3.0\n"],
    ["text that begins as GIF", "GIF? Rather not."],
    ["text that begins as TIFF", "Internal Server Error"],
    ["text that begins as BigTIFF", "Moved Permanently"],
    ["text that begins as BMP", "BM is the magic of bitmaps, and this is not one"],
    ["text that begins as RIFF", "RIFFRAFF was here"],
    ["sound", "RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"],
    ["video", "\0\0\0\x18ftypmp42\0\0\0\0mp42isom"],
    ["a cursor", "\0\0\x02\0\x01\0\x10\x10\0\0\0\0\0\0\x10\0\0\0\x16\0\0\0"],
    ["an icon of nothing", "\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
    ["zeros", "\0".repeat(64)],
    ["gzip", "\x1f\x8b\x08\0\0\0\0\0\0\x03"],
    ["a script", "#!/bin/sh\n"],
  ])("head is foreign for %s", (_, text) => {
    const body = Buffer.from(text, "latin1");
    for (const gate of [gated(body), gatedIn(body, [1])]) {
      expect(gate.head).toBe("foreign");
      expect(gate.image).toBeUndefined();
      expect(gate.isStructureWhole).toBe(false);
      expect(gate.verdict(WHOLE_END)).toEqual({ kind: "broken", code: "origin_not_image" });
    }
  });

  test("head stays foreign when an image follows", () => {
    const gate = gated("<html>");
    gate.push(jpegWithRestarts(1, 1));
    expect(gate.head).toBe("foreign");
  });

  test("head is more until the magic is complete, and image is set as soon as it is", () => {
    const gate = createGate();
    gate.push(Buffer.alloc(0));
    gate.push(Buffer.from([0xff, 0xd8]));
    expect([gate.head, gate.image]).toEqual(["more", undefined]);
    gate.push(Buffer.from([0xff]));
    expect([gate.head, gate.image]).toEqual(["image", { format: "jpeg", width: undefined, height: undefined }]);
  });
});

describe("hostile bodies", () => {
  const heads = [
    "",
    "\xff\xd8\xff",
    "\x89PNG\r\n\x1a\n",
    "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    "GIF89a",
    "RIFF\xff\xff\xff\xffWEBP",
    "RIFF\xff\xff\xff\xffWEBPVP8X",
    "\0\0\0\x14ftypavif\0\0\0\0mif1",
    "\0\0\0\x14ftypavif\0\0\0\0mif1\0\0\x01\0meta\0\0\0\0\0\0\0\x80iprp\0\0\0\x70ipco",
    "\0\0\0\x14ftypheic\0\0\0\0mif1",
    "\0\0\0\x40ftypmif1",
    "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0",
    "\0\0\x01\0\xff\xff",
    "II*\0",
    "\xef\xbb\xbf<?xml ?><!DOCTYPE svg [ <!-- ' --> ",
    "<svg a='",
    "<svg><g></g><",
  ].map((text) => Buffer.from(text, "latin1"));

  test("push() never throws, whatever the bytes, and chunk boundaries never change the outcome", () => {
    const tail = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      // Bytes with a meaning in many formats, far more frequent than by chance.
      fc.array(fc.constantFrom(0, 1, 8, 0x2c, 0x21, 0x3b, 0x7f, 0xd9, 0xda, 0xff), { maxLength: 300 }),
      fc.stringMatching(/^([<>/!?"'[\]\- ]|svg){0,60}$/).map((text) => Buffer.from(text, "latin1")),
    );
    const chunkLengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.constantFrom(...heads), tail, chunkLengths, (head, rest, lengths) => {
        const body = Buffer.concat([head, Buffer.from(rest)]);
        const [one, many] = [gated(body), gatedIn(body, lengths)];
        expect(many.head).toBe(one.head);
        expect(many.verdict(WHOLE_END)).toEqual(one.verdict(WHOLE_END));
      }),
      { numRuns: 2000 },
    );
  });

  test("push() never throws for real images with bytes changed", async () => {
    const images = [
      jpegWithRestarts(3, 3),
      await noisyPng(16, 12),
      await noisyGif(16, 12),
      await noisyWebp(16, 12, "animated"),
      await noisyAvif(16, 12),
      noisyBmp(16, 12),
    ];
    const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), { maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...images), changes, (image, edits) => {
        const body = Buffer.from(image);
        for (const [at, byte] of edits) body[at % body.length] = byte;
        expect(gatedIn(body, [7, 100]).verdict(WHOLE_END)).toEqual(gated(body).verdict(WHOLE_END));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["png", "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\0\0\0\0\x7f\xff\xff\xffzTXt"],
    ["webp", "RIFF\xfe\xff\xff\xffWEBPVP8 \xf0\xff\xff\xff"],
    ["avif, a box of 2^63 bytes", "\0\0\0\x10ftypavif\0\0\0\0\0\0\0\x01meta\x7f\xff\xff\xff\xff\xff\xff\xff"],
    ["heic", "\0\0\0\x10ftypheic\0\0\0\0\xff\xff\xff\xffmdat"],
    ["bmp", "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\0\x20\0\0\0\0\0"],
    ["bmp, the lowest height there is", "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\0\0\0\x80\x01\0\x20\0"],
    ["jpeg that never ends", "\xff\xd8\xff\xda\0\x08\x01\x01\0\0\x3f\0"],
    ["ico", "\0\0\x01\0\xff\xff\0\0\0\0\x01\0\x20\0\xff\xff\xff\xff\xf6\xff\x0f\0"],
  ])("push() does not hold more for huge lengths: %s", (_, head) => {
    const gate = gated(head);
    const chunk = Buffer.alloc(1 << 20, 0x41);
    const before = process.memoryUsage().arrayBuffers;
    for (let mebibyte = 0; mebibyte < 64; mebibyte += 1) gate.push(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 19);
    expect(gate.head).toBe("image");
    expect(gate.isStructureWhole).toBe(false);
  });

  test("push() retains nothing of a long run of segments, chunks, blocks or boxes", () => {
    const bodies = [
      ["\xff\xd8", "\xff\xe1\0\x02"],
      ["\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\0\0\0\0", "\0\0\0\0tEXt\0\0\0\0"],
      ["GIF89a\x01\0\x01\0\0\0\0", "\x21\xfe\x01a\0"],
      ["\0\0\0\x10ftypavif\0\0\0\0", "\0\0\0\x08free"],
    ] as const;
    for (const [head, unit] of bodies) {
      const gate = gated(head);
      const chunk = Buffer.from(unit.repeat(1000), "latin1");
      for (let turn = 0; turn < 100; turn += 1) gate.push(chunk);
      expect(gate.isStructureWhole).toBe(false);
    }
  });
});
