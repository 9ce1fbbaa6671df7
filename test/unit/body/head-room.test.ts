import { expect, test } from "vitest";
import { HEAD_ROOM_BYTES, lendRoom, placeBehindRoom, returnRoom, withHeadRoom } from "../../../src/body/head-room.ts";

const BODY = Buffer.from("the body");

test("the head stands right before the body, which stays as it was", () => {
  const body = withHeadRoom(BODY);
  expect(body.equals(BODY)).toBe(true);
  expect(lendRoom(body, "H\xe9ad: ")?.toString("latin1")).toBe("H\xe9ad: the body");
  expect(body.toString()).toBe("the body");
});

test("room is made once", () => {
  const body = withHeadRoom(BODY);
  expect(withHeadRoom(body)).toBe(body);
});

test("room is lent to one at a time", () => {
  const body = withHeadRoom(BODY);
  const first = lendRoom(body, "one ");
  expect(lendRoom(body, "two ")).toBeUndefined();
  expect(first?.toString()).toBe("one the body");
  returnRoom(body);
  expect(lendRoom(body, "three ")?.toString()).toBe("three the body");
});

test.each([
  ["a head as long as the room", HEAD_ROOM_BYTES, true],
  ["a longer one", HEAD_ROOM_BYTES + 1, false],
  ["none", 0, true],
])("%s", (_, length, fits) => {
  const body = withHeadRoom(BODY);
  const head = "h".repeat(length);
  expect(lendRoom(body, head)?.toString()).toBe(fits ? `${head}the body` : undefined);
  // What was refused is not lent.
  if (!fits) expect(lendRoom(body, "short ")?.toString()).toBe("short the body");
});

test("bytes without room lend none, nor does a part of those that have it", () => {
  expect(lendRoom(BODY, "head ")).toBeUndefined();
  expect(lendRoom(withHeadRoom(BODY).subarray(1), "head ")).toBeUndefined();
});

test("a place in larger memory has its room before it", () => {
  const memory = Buffer.alloc(HEAD_ROOM_BYTES + 100, ".");
  const place = placeBehindRoom(memory, 4);
  place.write("body");
  expect(lendRoom(place, "head ")?.toString()).toBe("head body");
  expect(memory.toString()).toBe(`${".".repeat(HEAD_ROOM_BYTES - 5)}head body${".".repeat(96)}`);
});

test("a large body keeps its bytes", () => {
  const large = Buffer.alloc(3_000_000, "0123456789");
  expect(withHeadRoom(large).equals(large)).toBe(true);
});
