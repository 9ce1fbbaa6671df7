// Spool pools over a folder of their own, and readers that read a body as clients do.
import { setMaxListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { SILENT_LOG } from "../../src/core/log.ts";
import type { DigestName } from "../../src/core/object.ts";
import { ALL_DIGESTS } from "../../src/serve/body/spool/hashing.ts";
import type { Spool } from "../../src/serve/body/spool/spool.ts";
import { type Disk, REAL_DISK } from "../../src/serve/body/spool/spool-file.ts";
import { createSpoolPool, type SpoolPool } from "../../src/serve/body/spool/spool-pool.ts";

export interface TestPool extends SpoolPool {
  readonly dir: string;
  /** Names of the existing files. */
  files(): string[];
}

/** A pool whose folder is removed after the test. */
export function testPool(
  options: {
    readonly memoryBytes?: number;
    readonly perSpoolBytes?: number;
    readonly digests?: ReadonlySet<DigestName>;
    readonly disk?: Partial<Disk>;
    readonly room?: () => number;
    readonly maxTransientBytes?: number;
  } = {},
): TestPool {
  const dir = mkdtempSync(join(tmpdir(), "spool-"));
  onTestFinished(() => rmSync(dir, { recursive: true, maxRetries: 3 }));
  const { memoryBytes = 67_108_864, perSpoolBytes = 262_144, digests = ALL_DIGESTS, disk, ...bounds } = options;
  const parts = { ...bounds, digests, log: SILENT_LOG, disk: { ...REAL_DISK, ...disk } };
  const pool = createSpoolPool({ dir, memoryBytes, perSpoolBytes, ...parts });
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
// Many clients of one test listen to this signal, as in the program; Node warns of a leak above ten.
setMaxListeners(0, NEVER);

/** Reads everything from `offset` on, `peek` first as the mirror does; throws the errors of `read`. */
export async function readToEnd(spool: Spool, offset = 0): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = offset; ; ) {
    const piece = spool.peek(at) ?? (await spool.read(at, NEVER));
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece);
    at += piece.byteLength;
  }
}

/** Writes all bytes in chunks of `chunkBytes`, and waits whenever the spool requests it. */
export async function writeAll(spool: Spool, bytes: Buffer, chunkBytes = 65_536): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    if (!spool.write(bytes.subarray(at, at + chunkBytes))) await spool.drained();
  }
}

/** A step that waits until a test opens it. */
export function createLatch(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A disk error, in the shape that Node gives it. */
export function diskError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}
