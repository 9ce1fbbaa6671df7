// Pools of spools over a folder of their own, and readers that take a body the way that clients do.
import { setMaxListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ALL_DIGESTS } from "../../src/body/spool/hashing.ts";
import type { Spool } from "../../src/body/spool/spool.ts";
import { type Disk, REAL_DISK } from "../../src/body/spool/spool-file.ts";
import { createSpoolPool, type SpoolPool } from "../../src/body/spool/spool-pool.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import type { DigestName } from "../../src/core/object.ts";

export interface TestPool extends SpoolPool {
  readonly dir: string;
  /** Names of the files that are there. */
  files(): string[];
}

/** A pool whose folder goes with the test. */
export function testPool(
  options: {
    readonly memoryBytes?: number;
    readonly perSpoolBytes?: number;
    readonly digests?: ReadonlySet<DigestName>;
    readonly disk?: Partial<Disk>;
    readonly room?: () => number;
  } = {},
): TestPool {
  const dir = mkdtempSync(join(tmpdir(), "spool-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const { memoryBytes = 67_108_864, perSpoolBytes = 262_144, digests = ALL_DIGESTS, disk, room } = options;
  const bounds = { memoryBytes, perSpoolBytes, ...(room !== undefined && { room }) };
  const pool = createSpoolPool({ dir, ...bounds, digests, log: SILENT_LOG, disk: { ...REAL_DISK, ...disk } });
  return {
    dir,
    files: () => readdirSync(dir),
    open: (more) => pool.open(more),
    get usage() {
      return pool.usage;
    },
    room: () => pool.room(),
    resize: (memoryBytes) => pool.resize(memoryBytes),
    close: () => pool.close(),
  };
}

export const NEVER = new AbortController().signal;
// As in the program, where many clients of one test listen to it; Node takes more than ten for a leak.
setMaxListeners(0, NEVER);

/** Everything from `offset` on, `peek` first as the mirror does; throws what `read` throws. */
export async function readToEnd(spool: Spool, offset = 0): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = offset; ; ) {
    const piece = spool.peek(at) ?? (await spool.read(at, NEVER));
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece);
    at += piece.byteLength;
  }
}

/** Writes all of it in chunks of `chunkBytes`, stopping whenever the spool says so. */
export async function writeAll(spool: Spool, bytes: Buffer, chunkBytes = 65_536): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    if (!spool.write(bytes.subarray(at, at + chunkBytes))) await spool.drained();
  }
}

/** A disk step that waits until it is let go. */
export function createLatch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** The error that the disk gives, as Node shapes it. */
export function diskError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}
