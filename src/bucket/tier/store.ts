// A store whose objects lie in a remote store, with a bounded part of this disk before it: copies that are served without
// asking, and the queue of what is not there yet. This file opens, wires, evicts and closes.
import { setImmediate as nextTurn } from "node:timers/promises";
import type { SpoolPool } from "../../body/spool-pool.ts";
import { HuiyuanError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Key } from "../../object.ts";
import type { Store } from "../driver.ts";
import type { FsStore } from "../fs/store.ts";
import type { RemoteStore } from "../remote.ts";
import { createTieredBucket, type TieredBucket } from "./bucket.ts";
import { type Copy, createCopyOrder } from "./copy-order.ts";
import { createEdge } from "./edge.ts";
import { createKeyLocks } from "./key-locks.ts";
import { createUploads, type Uploads } from "./uploads.ts";

export interface TieredStoreOptions {
  /** This disk. Its own buckets are not touched; the tier has names of its own. The caller closes it, after the tier. */
  readonly near: Pick<FsStore, "bucket" | "forget" | "move" | "listBuckets" | "probe">;
  /** Closed with the tier. */
  readonly remote: RemoteStore;
  readonly spools: SpoolPool;
  /** Copies and queue together, bytes. */
  readonly maxBytes: number;
  /** Larger objects are read in ranges and have no copy; a copy never takes more than a quarter of the tier. Bytes. */
  readonly maxCopyBytes?: number;
  /** An object is not what this server said it is: memory must let go of it. */
  readonly changed: (bucketId: string, key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export interface TieredStore extends Store {
  readonly uploads: Pick<Uploads, "backlog" | "idle">;
  /** What an operator should know; empty while all is well. */
  notes(): string[];
  /** Another bound for copies and queue, bytes. */
  resize(maxBytes: number): void;
}

const MAX_COPY_BYTES = 67_108_864;
/** Each takes some 300 bytes of memory. */
const MAX_QUEUED = 100_000;
const STOP_MS = 3_000;
const PAGE = 1_000;

export function createTieredStore(options: TieredStoreOptions): TieredStore {
  const { near, remote, spools, changed, log, now, maxCopyBytes = MAX_COPY_BYTES } = options;
  let { maxBytes } = options;
  const order = createCopyOrder();
  const locks = createKeyLocks();
  const buckets = new Map<string, TieredBucket>();
  const edgeFolder = `edge/${remote.id}/`;
  const queueFolder = `queue/${remote.id}/`;
  let isClosed = false;
  let evicting: Promise<void> | undefined;

  const uploads = createUploads({
    bring: ({ bucketId, key }) => bucketOf(bucketId).upload(key),
    isDown: () => remote.isDown,
    log,
    now,
  });
  remote.onReturn(() => uploads.resume());

  function bucketOf(id: string): TieredBucket {
    const known = buckets.get(id) ?? open(id);
    buckets.set(id, known);
    return known;
  }

  function open(id: string): TieredBucket {
    const [edgeId, queueId] = [edgeFolder + id, queueFolder + id];
    const edge = createEdge({
      bucketId: edgeId,
      driver: near.bucket(edgeId),
      order,
      forgetRow: (key, sha256) => near.forget(edgeId, key, sha256),
      maxCopyBytes: () => Math.min(maxCopyBytes, Math.floor(maxBytes / 4)),
      grown: evict,
      log,
      now,
    });
    return createTieredBucket({
      id,
      remote: remote.bucket(id),
      queue: near.bucket(queueId),
      edge,
      isDown: () => remote.isDown,
      locks,
      uploads,
      async unqueue({ key, size, hashes: { sha256 } }, to) {
        if (to === "nowhere" || size > edge.maxCopyBytes()) return void (await near.forget(queueId, key, sha256));
        await near.move(queueId, edgeId, key, sha256);
        order.add({ bucketId: edgeId, key, size, sha256, checkedAt: now() });
        evict();
      },
      checkRoom,
      spools,
      changed: (key) => changed(id, key),
      log,
      now,
    });
  }

  function checkRoom(bytes: number): void {
    const { depth, bytes: queued } = uploads.backlog();
    if (depth < MAX_QUEUED && queued + bytes <= maxBytes) return;
    const found = `${depth} objects with ${queued} bytes wait to be uploaded, limits.disk is ${maxBytes}`;
    throw new HuiyuanError("store_full", `Cannot take another object: ${found}`);
  }

  /** Copies give way to the queue, and the oldest to the newest. */
  function evict(): void {
    evicting ??= evictAll().finally(() => {
      evicting = undefined;
    });
  }

  async function evictAll(): Promise<void> {
    await nextTurn();
    for (;;) {
      const surplus = order.popSurplus(Math.max(0, maxBytes - uploads.backlog().bytes));
      if (surplus === undefined || isClosed) return;
      await near
        .forget(surplus.bucketId, surplus.key, surplus.sha256)
        .catch((error: unknown) => log.warn({ err: error }, "a copy could not be removed"));
    }
  }

  /** What an earlier run has left: its queue goes on, its copies are counted. */
  async function takeOver(): Promise<void> {
    const copies: Copy[] = [];
    const storedAt = new Map<Copy, number>();
    for (const id of near.listBuckets()) {
      const isQueue = id.startsWith("queue/");
      if (isQueue && !id.startsWith(queueFolder)) await tellStranded(id);
      else if (isQueue || id.startsWith("edge/")) {
        for await (const info of objectsOf(id)) {
          const { key, size, hashes } = info;
          if (isQueue) uploads.add({ bucketId: id.slice(queueFolder.length), key, size, since: info.storedAt });
          else {
            const copy = { bucketId: id, key, size, sha256: hashes.sha256, checkedAt: 0 };
            copies.push(copy);
            storedAt.set(copy, info.storedAt);
          }
        }
      }
    }
    order.addOlder(copies.sort((a, b) => (storedAt.get(a) ?? 0) - (storedAt.get(b) ?? 0)));
    evict();
  }

  async function* objectsOf(id: string) {
    for (let after: Key | undefined; ; ) {
      const page = await near.bucket(id).list({ prefix: "", after, limit: PAGE });
      yield* page.objects;
      after = page.next;
      if (after === undefined || isClosed) return;
      await nextTurn();
    }
  }

  async function tellStranded(id: string): Promise<void> {
    const { objects } = await near.bucket(id).usage();
    if (objects > 0) log.warn({ queue: id, objects }, "images wait here for a store that the settings no longer name");
  }

  const takingOver = takeOver().catch((error: unknown) =>
    log.error({ err: error }, "what the last run has left could not be taken over"),
  );

  return {
    bucket: bucketOf,
    uploads: {
      backlog: uploads.backlog,
      idle: () => takingOver.then(uploads.idle),
    },
    notes() {
      const since = remote.outageSince();
      if (since === undefined || !remote.isDown) return [];
      const { depth } = uploads.backlog();
      return [`S3 has not answered for ${Math.round((now() - since) / 1_000)} s; ${depth} images wait to be uploaded`];
    },
    resize(next) {
      maxBytes = next;
      evict();
    },
    async probe() {
      await near.probe();
      checkRoom(0);
    },
    async close() {
      isClosed = true;
      await takingOver;
      await uploads.stop(STOP_MS);
      await evicting;
      await remote.close();
    },
  };
}
