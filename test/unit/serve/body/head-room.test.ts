import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import {
  bodyRoom,
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

test.each([0, 1, 1_048_575, 1_048_576, 5_000_000])("bodyRoom(%i) is a Buffer of that size", (bytes) => {
  const room = bodyRoom(bytes);
  expect([Buffer.isBuffer(room), room.length]).toEqual([true, bytes]);
  const body = Buffer.alloc(bytes, "body");
  body.copy(room);
  expect(room.equals(body)).toBe(true);
  const sum = (of: Buffer) => createHash("sha256").update(of).digest("hex");
  expect(sum(room)).toBe(sum(body));
});

/**
 * Runs in a process of its own: returns the MB that the process still holds after it made 60 MB with `allocate` and
 * dropped all of them.
 */
function kept(allocate: string): number {
  const script = `
    import { setTimeout as delay } from "node:timers/promises";
    import { bodyRoom } from ${JSON.stringify(fileURLToPath(new URL("../../../../src/serve/body/head-room.ts", import.meta.url)))};
    const allocate = ${allocate};
    // One was there and has gone: from now on malloc has its heap serve such sizes.
    allocate(30_000_000);
    gc();
    await delay(100);
    const before = process.memoryUsage.rss();
    let large = [20_000_000, 20_000_000, 20_000_000].map((bytes) => allocate(bytes).fill(1));
    const small = Array.from({ length: 50 }, () => Buffer.allocUnsafeSlow(100_000).fill(1));
    large = [];
    gc();
    await delay(100);
    gc();
    await delay(100);
    console.log(Math.round((process.memoryUsage.rss() - before) / 1e6), small.length);
  `;
  const args = ["--expose-gc", "--import", "tsx", "--input-type=module", "--eval", script];
  return Number.parseInt(execFileSync(process.execPath, args).toString(), 10);
}

const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } };

test.runIf(header.glibcVersionRuntime !== undefined)(
  "bodyRoom() returns large memory to the system, where malloc would keep it",
  () => {
    expect(kept("bodyRoom")).toBeLessThan(15);
    expect(kept("(bytes) => Buffer.allocUnsafeSlow(bytes)")).toBeGreaterThan(40);
  },
);
