// The table of verdicts for each combination of structure, framing and hash.
import { expect, test } from "vitest";
import type { Framing, Gate } from "../../../../../src/serve/body/gate/gate.ts";
import { gated } from "../../../../helpers/gated.ts";
import { jpegWithRestarts, noisyTiff, runLengthBmp } from "../../../../helpers/images.ts";

const jpeg = jpegWithRestarts(2, 2);
const image = { format: "jpeg", width: 16, height: 16 };

const tiff = { format: "tiff", width: 8, height: 6 };
const bmp = { format: "bmp", width: 30, height: 20 };
const unmarked = runLengthBmp(30, 20);
unmarked.writeUInt32LE(0, 34);
unmarked.writeUInt32LE(0, 2);

const bodies: Readonly<Record<string, Gate>> = {
  "no bytes": gated(),
  "a web page": gated("<!doctype html><title>404</title>"),
  "half a magic": gated("\xff\xd8"),
  "a cut jpeg": gated(jpeg.subarray(0, jpeg.length - 2)),
  "a whole jpeg": gated(jpeg),
  "a tiff": gated(await noisyTiff(8, 6)),
  "a cut tiff": gated((await noisyTiff(8, 6)).subarray(0, -1)),
  "a bmp of unknown length": gated(unmarked),
};

const whole = { kind: "whole", image };
const suspectStructure = { kind: "suspect", image, reason: "structure" };
const suspectHash = { kind: "suspect", image, reason: "hash" };
const truncated = { kind: "broken", code: "origin_truncated" };
const empty = { kind: "broken", code: "origin_empty" };
const notImage = { kind: "broken", code: "origin_not_image" };

const rows: readonly (readonly [string, Framing, "met" | "cut", "right" | "wrong", object])[] = [
  ["no bytes", "length", "met", "right", empty],
  ["no bytes", "length", "cut", "right", empty],
  ["no bytes", "chunked", "met", "right", empty],
  ["no bytes", "close", "cut", "right", empty],
  ["a web page", "length", "met", "right", notImage],
  ["a web page", "chunked", "cut", "right", notImage],
  ["a web page", "close", "cut", "wrong", notImage],
  ["half a magic", "length", "met", "right", notImage],
  ["a cut jpeg", "length", "met", "right", suspectStructure],
  ["a cut jpeg", "length", "met", "wrong", suspectStructure],
  ["a cut jpeg", "length", "cut", "right", truncated],
  ["a cut jpeg", "chunked", "met", "right", truncated],
  ["a cut jpeg", "chunked", "cut", "right", truncated],
  ["a cut jpeg", "close", "cut", "right", truncated],
  ["a whole jpeg", "length", "met", "right", whole],
  ["a whole jpeg", "length", "met", "wrong", suspectHash],
  ["a whole jpeg", "length", "cut", "right", truncated],
  ["a whole jpeg", "chunked", "met", "right", whole],
  ["a whole jpeg", "chunked", "met", "wrong", suspectHash],
  ["a whole jpeg", "chunked", "cut", "right", truncated],
  ["a whole jpeg", "close", "cut", "right", whole],
  ["a whole jpeg", "close", "met", "right", whole],
  ["a whole jpeg", "close", "cut", "wrong", suspectHash],
  ["a tiff", "length", "met", "right", { kind: "whole", image: tiff }],
  ["a tiff", "length", "met", "wrong", { kind: "suspect", image: tiff, reason: "hash" }],
  ["a tiff", "length", "cut", "right", truncated],
  ["a tiff", "chunked", "met", "right", { kind: "whole", image: tiff }],
  ["a tiff", "close", "cut", "right", { kind: "whole", image: tiff }],
  ["a cut tiff", "length", "met", "right", { kind: "suspect", image: tiff, reason: "structure" }],
  ["a cut tiff", "close", "met", "right", truncated],
  ["a bmp of unknown length", "length", "met", "right", { kind: "whole", image: bmp }],
  ["a bmp of unknown length", "close", "met", "right", truncated],
];

test.each(rows)("verdict() of %s, framed by %s that was %s, hash %s", (body, framing, met, hash, expected) => {
  const end = { framing, isFramingWhole: met === "met", isHashRight: hash === "right" };
  expect(bodies[body]?.verdict(end)).toEqual(expected);
});
