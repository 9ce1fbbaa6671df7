import { expect, test } from "vitest";
import {
  HEAD_ROOM_BYTES,
  lendRoom,
  placeBehindRoom,
  returnRoom,
  withHeadRoom,
} from "../../../../src/serve/body/head-room.ts";

const BODY = Buffer.from("the body");

test("lendRoom() writes the head directly before the body, which stays unchanged", () => {
  const body = withHeadRoom(BODY);
  expect(body.equals(BODY)).toBe(true);
  expect(lendRoom(body, "H\xe9ad: ")?.toString("latin1")).toBe("H\xe9ad: the body");
  expect(body.toString()).toBe("the body");
});

test("withHeadRoom() returns a body that has room as it is", () => {
  const body = withHeadRoom(BODY);
  expect(withHeadRoom(body)).toBe(body);
});

test("lendRoom() lends the room to one borrower at a time", () => {
  const body = withHeadRoom(BODY);
  const first = lendRoom(body, "one ");
  expect(lendRoom(body, "two ")).toBeUndefined();
  expect(first?.toString()).toBe("one the body");
  returnRoom(body);
  expect(lendRoom(body, "three ")?.toString()).toBe("three the body");
});

test.each([
  ["lendRoom() lends for a head as long as the room", HEAD_ROOM_BYTES, true],
  ["lendRoom() is undefined for a longer head", HEAD_ROOM_BYTES + 1, false],
  ["lendRoom() lends for an empty head", 0, true],
])("%s", (_, length, fits) => {
  const body = withHeadRoom(BODY);
  const head = "h".repeat(length);
  expect(lendRoom(body, head)?.toString()).toBe(fits ? `${head}the body` : undefined);
  // A refused loan does not count as lent.
  if (!fits) expect(lendRoom(body, "short ")?.toString()).toBe("short the body");
});

test("lendRoom() is undefined for bytes without room, and for a part of bytes with room", () => {
  expect(lendRoom(BODY, "head ")).toBeUndefined();
  expect(lendRoom(withHeadRoom(BODY).subarray(1), "head ")).toBeUndefined();
});

test("placeBehindRoom() leaves room in front of the body", () => {
  const memory = Buffer.alloc(HEAD_ROOM_BYTES + 100, ".");
  const place = placeBehindRoom(memory, 4);
  place.write("body");
  expect(lendRoom(place, "head ")?.toString()).toBe("head body");
  expect(memory.toString()).toBe(`${".".repeat(HEAD_ROOM_BYTES - 5)}head body${".".repeat(96)}`);
});

test("withHeadRoom() keeps the bytes of a large body", () => {
  const large = Buffer.alloc(3_000_000, "0123456789");
  expect(withHeadRoom(large).equals(large)).toBe(true);
});
