// A mirror over a memory store, a real pool of spools and origins without a network; called as downloads call it.

import { createSemaphore, type Semaphore } from "../../src/async/semaphore.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import { type Key, type ObjectInfo, toKey } from "../../src/core/object.ts";
import type { Disk } from "../../src/serve/body/spool/spool-file.ts";
import { createBucket } from "../../src/serve/bucket/contract/bucket.ts";
import type { BucketDriver } from "../../src/serve/bucket/contract/driver.ts";
import { createFailover } from "../../src/serve/mirror/fill/failover.ts";
import type { MissAnswer } from "../../src/serve/mirror/fill/reader.ts";
import type { MirrorMeter } from "../../src/serve/mirror/meter.ts";
import { createMirror, type Mirror } from "../../src/serve/mirror/mirror.ts";
import type { MirrorOptions } from "../../src/serve/mirror/mirror-context.ts";
import { createMemoryCache, type MemoryCache } from "../../src/serve/mirror/stored/memory-cache.ts";
import { createStored, type Found, type NoObject, type Stored } from "../../src/serve/mirror/stored/stored.ts";
import type { OnVersionGone } from "../../src/serve/mirror/stored/stored-changes.ts";
import { createWriteBack, type WriteBack } from "../../src/serve/mirror/storing/write-back.ts";
import { createBreaker } from "../../src/serve/origin/guard/breaker.ts";
import { createBudget } from "../../src/serve/origin/guard/budget.ts";
import { guardOrigin } from "../../src/serve/origin/guard/guarded.ts";
import { createOriginRecord } from "../../src/serve/origin/guard/record.ts";
import type { Origin } from "../../src/serve/origin/origin.ts";
import { createMemoryStore } from "./memory-store.ts";
import { eventually } from "./program.ts";
import { NEVER, readToEnd, type TestPool, testPool } from "./spools.ts";

export const BUCKET_ID = "10001234/photos";

export interface StoredLab {
  readonly stored: Stored;
  readonly memoryCache: MemoryCache;
  readonly driver: BucketDriver;
}

/** An empty bucket in memory behind a memory cache; `over` replaces parts of the driver. */
export function storedLab(
  options: {
    readonly cacheBytes?: number;
    readonly maxCachedObjectBytes?: number;
    readonly over?: (driver: BucketDriver) => Partial<BucketDriver>;
    readonly now?: () => number;
    readonly onVersionGone?: OnVersionGone;
  } = {},
): StoredLab {
  const { cacheBytes = 10_000_000, maxCachedObjectBytes = 100_000, over, now = () => 1_000, onVersionGone } = options;
  const memory = createMemoryStore(now).bucket(BUCKET_ID);
  const driver = { ...memory, ...over?.(memory) };
  const memoryCache = createMemoryCache({ maxBytes: cacheBytes, maxObjectBytes: maxCachedObjectBytes });
  const bucket = createBucket({ driver, now, maxObjectBytes: 1_073_741_824 });
  return { stored: createStored(BUCKET_ID, bucket, memoryCache, { onVersionGone }), memoryCache, driver };
}

/** A meter that records its events, such as `stored 120` or `refused not_found`. */
export function countingMeter(): MirrorMeter & { readonly events: string[] } {
  const events: string[] = [];
  const note = (text: string) => void events.push(text);
  return {
    events,
    fillStarted: () => note("fill"),
    collapsed: () => note("collapsed"),
    failedOver: () => note("failed over"),
    retried: () => note("retried"),
    originAnswered: (milliseconds) => note(`answered ${milliseconds}`),
    refused: (code) => note(`refused ${code}`),
    revalidated: (outcome) => note(`revalidated ${outcome}`),
    stored: (bytes) => note(`stored ${bytes}`),
    notStored: (code) => note(`not stored ${code}`),
  };
}

export interface MirrorLabOptions {
  readonly origins: readonly Origin[];
  readonly mirror?: Partial<Omit<MirrorOptions, "stored" | "origin">>;
  readonly fills?: number;
  readonly retryMs?: readonly number[];
  readonly over?: (driver: BucketDriver) => Partial<BucketDriver>;
  /** Another mirror of the same bucket. */
  readonly beside?: StoredLab;
  readonly pool?: {
    readonly memoryBytes?: number;
    readonly perSpoolBytes?: number;
    readonly maxTransientBytes?: number;
    readonly disk?: Partial<Disk>;
  };
}

export interface AskOptions {
  readonly method?: "GET" | "HEAD";
  readonly signal?: AbortSignal;
}

export interface MirrorLab extends StoredLab {
  readonly mirror: Mirror;
  readonly pool: TestPool;
  readonly meter: ReturnType<typeof countingMeter>;
  /** The fetches of the program. */
  readonly fetches: Semaphore;
  readonly writeBack: WriteBack;
  /** Aborted by a test that stops the program. */
  readonly stopping: AbortController;
  /** A test advances `now`; `setMs`: the shift of the time of day (Unix milliseconds) against it. */
  readonly clock: { now: number; setMs: number };
  /** Looks into the bucket first, then calls the mirror. */
  ask(key: string, options?: AskOptions): Promise<MissAnswer | Exclude<Found | NoObject, { state: "absent" }>>;
  /** As `ask`, for a key that the bucket lacks. */
  miss(key: string, options?: AskOptions): Promise<MissAnswer>;
  /** Calls the mirror without a look-up, with the given epoch. */
  missAt(key: string, epoch: number, options?: AskOptions): Promise<MissAnswer>;
  /** The whole body of a miss; releases it. Throws the error of the answer or of the body. */
  fetch(key: string, options?: AskOptions): Promise<Buffer>;
  /** The object in the bucket. */
  object(key: string): Promise<ObjectInfo | undefined>;
  /** Resolves when no fill runs and no spool is held; throws after 5 s. */
  settled(): Promise<void>;
}

/** A request without rules; the caller adds key, path, epoch, method and signal. */
export const PLAIN = {
  isStored: true,
  query: "",
  headers: {},
  followsRedirects: true,
  via: undefined,
  cdnLoop: undefined,
};

export function mirrorLab(options: MirrorLabOptions): MirrorLab {
  const clock = { now: 1_700_000_000_000, setMs: 0 };
  const now = () => clock.now + clock.setMs;
  const ticks = () => clock.now;
  const { over, retryMs = [1, 1] } = options;
  const bucket = options.beside ?? storedLab({ now, ...(over === undefined ? {} : { over }) });
  const { stored, memoryCache, driver } = bucket;
  const pool = testPool(options.pool);
  const meter = countingMeter();
  const fetches = createSemaphore(options.fills ?? 100);
  const writeBack = createWriteBack({ now, log: SILENT_LOG, meter, retryMs });
  const stopping = new AbortController();
  const mirror = createMirror(
    {
      stored,
      origin: inOrder(options.origins, { fetches, connections: options.mirror?.connections ?? 100 }),
      connections: 100,
      headMiss: "origin",
      negativeTtlMs: 30_000,
      suspects: "pass",
      freshness: undefined,
      onGone: "keep",
      timeouts: { connect: 5_000, firstByte: 5_000, idle: 5_000, total: 5_000 },
      maxObjectBytes: 10_000_000,
      ...options.mirror,
    },
    {
      spools: pool,
      writeBack,
      meter,
      log: SILENT_LOG,
      now,
      ticks,
      serverId: "lab",
      signal: stopping.signal,
    },
  );

  const missAt = (key: string, epoch: number, { method = "GET", signal = NEVER }: AskOptions = {}) =>
    mirror.fetch({ ...PLAIN, key: toKey(key), path: toKey(key), epoch, method, signal });

  async function ask(key: string, how?: AskOptions) {
    const found = await stored.find(toKey(key));
    return found.state === "absent" ? missAt(key, found.epoch, how) : found;
  }

  async function miss(key: string, how?: AskOptions): Promise<MissAnswer> {
    const answer = await ask(key, how);
    if ("state" in answer) throw new Error(`${key} is in the bucket: ${answer.state}`);
    return answer;
  }

  return {
    mirror,
    stored,
    memoryCache,
    driver,
    pool,
    meter,
    fetches,
    writeBack,
    stopping,
    clock,
    ask,
    miss,
    missAt,
    fetch: async (key, how) => bodyOf(await miss(key, how)),
    async object(key) {
      const entry = await driver.lookup(key as Key); // toKey() has checked it before
      return entry.state === "object" ? entry.info : undefined;
    },
    async settled() {
      await mirror.idle();
      await eventually(() => pool.usage.spools === 0, "no spool is held", 5_000);
    },
  };
}

/** Tries the origins in the listed order, with the default `failoverOn`. */
function inOrder(
  origins: readonly Origin[],
  { fetches, connections }: { readonly fetches: Semaphore; readonly connections: number },
): Origin {
  const shared = { name: "lab", now: () => performance.now(), log: SILENT_LOG };
  const guarded = (origin: Origin) =>
    guardOrigin(origin, {
      breaker: createBreaker({ rules: { failures: 1_000_000, withinMs: 1, openMs: 1 }, ...shared }),
      budget: createBudget({ rules: { connections, requestsPerSecond: 0 }, fetches, ...shared }),
      record: createOriginRecord({ name: "lab", now: Date.now, time: Date.now }),
      waitMs: 5_000,
    });
  return createFailover({
    candidates: origins.map((origin) => ({ origin: guarded(origin) })),
    failoverOn: ["5xx", "timeout", "connect"],
    random: () => 0,
  });
}

/** All bytes of a miss; releases it. */
export async function bodyOf(answer: MissAnswer): Promise<Buffer> {
  if (answer.kind === "head") throw new Error("the answer to a HEAD has no body");
  const { head } = answer;
  try {
    if (answer.kind === "finished") return await readToEnd(head.spool);
    const pieces: Buffer[] = [];
    for (let offset = 0; ; ) {
      const piece = await answer.reader.read(head, offset);
      if (piece === undefined) return Buffer.concat(pieces);
      pieces.push(piece);
      offset += piece.byteLength;
    }
  } finally {
    answer.release();
  }
}
