import { expect, test } from "vitest";
import { lendRoom } from "../../../../../src/serve/body/head-room.ts";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import {
  createFrameReader,
  type FromProcess,
  frameOf,
  PREFIX_BYTES,
  type RenderCommand,
  requestFrame,
  requestOf,
} from "../../../../../src/serve/image/workers/render-messages.ts";
import { LIMITS } from "../../../../helpers/rendering.ts";

const rendered = (residentBytes: number): FromProcess => ({ kind: "rendered", residentBytes });

test.each([500, 5_000, 2_000_000])("createFrameReader() leaves room for a response head before %i bytes", (bytes) => {
  const bodies: Buffer[] = [];
  const read = createFrameReader((_head, body) => void bodies.push(body));
  for (const part of frameOf(rendered(bytes), [Buffer.alloc(bytes, "x")])) read(part);
  const [body = Buffer.alloc(0)] = bodies;
  expect(lendRoom(body, "head")?.toString("latin1")).toBe(`head${"x".repeat(bytes)}`);
});

test.each([1, 2, 7, 64, 100_000])("createFrameReader() finds the messages in chunks of %i bytes", (size) => {
  const heard: [FromProcess, string][] = [];
  const read = createFrameReader((head, body) => void heard.push([head, body.toString("latin1")]));
  const refused: FromProcess = {
    kind: "refused",
    ...{ code: "processing_invalid", message: "太大", residentBytes: 2 },
  };
  const stream = Buffer.concat([
    ...frameOf({ kind: "ready" }),
    ...frameOf(rendered(3), [Buffer.from("abc")]),
    ...frameOf(refused),
    ...frameOf(rendered(0), [Buffer.alloc(0)]),
    ...frameOf(rendered(500), [Buffer.alloc(500, "x")]),
  ]);
  for (let at = 0; at < stream.length; at += size) read(stream.subarray(at, at + size));
  expect(heard).toEqual([
    [{ kind: "ready" }, ""],
    [rendered(3), "abc"],
    [refused, ""],
    [rendered(0), ""],
    [rendered(500), "x".repeat(500)],
  ]);
});

test("requestOf() returns the request of requestFrame(), with the bytes of every watermark", () => {
  const request = {
    bytes: Buffer.from("the image"),
    facts: { format: "png", width: 3, height: 2, frames: 1 } as const,
    recipe: parseInstruction("imageMogr2/rotate/30/quality/80!|watermark/2/text/5Zue5rqQ", { era: 2015 }),
    watermarks: new Map([
      ["http://h/one.png", Buffer.from("one")],
      ["http://h/二.png", Buffer.from("two")],
    ]),
    limits: LIMITS,
  };
  for (const isHeld of [false, true]) {
    const frame = Buffer.concat(requestFrame(request, isHeld));
    const bodyAt = PREFIX_BYTES + frame.readUInt32BE(0);
    const head = JSON.parse(frame.toString("utf8", PREFIX_BYTES, bodyAt)) as RenderCommand;
    const body = frame.subarray(bodyAt);
    expect([body.length, head.imageBytes, head.isHeld]).toEqual([frame.readUInt32BE(4), 9, isHeld]);
    expect(isHeld ? "" : body.toString("utf8", 0, 9)).toBe(isHeld ? "" : "the image");
    expect(requestOf(head, request.bytes, body.subarray(isHeld ? 0 : 9))).toEqual(request);
  }
});
