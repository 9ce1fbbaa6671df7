// Bodies in chunks of a byte: a request buffers few pieces of them, and no byte is lost.
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { gatherSmallChunks } from "../../../../../src/serve/http/wire/small-chunks.ts";

function request(): { readonly message: IncomingMessage; readonly pieces: () => Promise<Buffer[]> } {
  const message = new IncomingMessage(new Socket());
  return {
    message,
    async pieces() {
      const all: Buffer[] = [];
      message.on("data", (piece: Buffer) => void all.push(piece));
      await new Promise((resolve) => message.on("end", resolve));
      return all;
    },
  };
}

test("gatherSmallChunks() makes few pieces of many small chunks, and loses no byte", async () => {
  const { message, pieces } = request();
  const body = gatherSmallChunks(message);
  const sent = Buffer.from(Array.from({ length: 9_000 }, (_, index) => index % 251));
  for (let at = 0; at < sent.length; at += 1) message.push(sent.subarray(at, at + 1));
  body.flush();
  expect([message.readableLength, body.isCrowded()]).toEqual([9_000, false]);
  message.push(null);
  const read = await pieces();
  expect(Buffer.concat(read).equals(sent)).toBe(true);
  expect(read.length).toBeLessThan(5);
});

test("gatherSmallChunks() passes large chunks on unchanged, after the small ones before them", async () => {
  const { message, pieces } = request();
  gatherSmallChunks(message);
  const large = Buffer.alloc(5_000, "b");
  for (const chunk of [Buffer.from("a"), large, Buffer.from("c")]) message.push(chunk);
  message.push(null);
  const read = await pieces();
  expect(read.map((piece) => piece.length)).toEqual([1, 5_000, 1]);
  expect(read[1]).toBe(large);
});

test("gatherSmallChunks() reports a crowded body until it is read", async () => {
  const { message } = request();
  const body = gatherSmallChunks(message);
  for (let piece = 0; piece < 300; piece += 1) {
    message.push(Buffer.from("x"));
    body.flush();
  }
  expect([body.isCrowded(), body.isFilled()]).toEqual([true, false]);
  expect((message.read() as Buffer).length).toBe(300);
  expect(body.isCrowded()).toBe(false);
  message.push(Buffer.alloc(message.readableHighWaterMark));
  expect(body.isFilled()).toBe(true);
});
