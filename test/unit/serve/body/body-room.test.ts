import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { bodyRoom } from "../../../../src/serve/body/body-room.ts";

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
    import { bodyRoom } from ${JSON.stringify(fileURLToPath(new URL("../../../../src/serve/body/body-room.ts", import.meta.url)))};
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
