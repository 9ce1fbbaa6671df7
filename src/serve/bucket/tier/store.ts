// A store that keeps its objects in a remote store and uses a bounded part of this disk in front of it: for copies that
// are served without a request, and for the upload queue. This file opens, wires and closes the parts.
import { createKeyLocks } from "../../../async/key-locks.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import type { Store } from "../contract/driver.ts";
import type { FsStore } from "../fs/store.ts";
import type { RemoteStore } from "../remote/remote.ts";
import { createTieredBucket, type TieredBucket } from "./bucket.ts";
import { type DiskCache, EDGE_FOLDER, objectsIn } from "./disk/disk-cache.ts";
import { createEdge } from "./disk/edge.ts";
import { createDamagedObjects } from "./reading/damaged.ts";
import { createUploads, type Uploads } from "./uploads.ts";

export interface TieredStoreOptions {
  /** The store on this disk. The tier uses bucket names of its own in it. The caller closes it, after the tier. */
  readonly embedded: Pick<FsStore, "bucket" | "forget" | "move" | "listBuckets" | "probe">;
  /** Closed with the tier. */
  readonly remote: RemoteStore;
  readonly spools: SpoolPool;
  /** Holds the copies and counts the queue. The caller closes it, after the tier. */
  readonly disk: DiskCache;
  /** Reports that an object differs from what this server has served, so that the memory cache drops it. */
  readonly changed: (bucketId: string, key: Key) => void;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}

export interface TieredStore extends Store {
  readonly uploads: Pick<Uploads, "backlog" | "idle">;
  /** Messages for the operator; empty in normal operation. */
  notes(): string[];
}

/** Each takes about 300 bytes of memory. */
const MAX_QUEUED = 100_000;
const STOP_MS = 3_000;
/** Wait for the lock of a key. A change may hold it for long, while it waits for the remote store. */
const KEY_WAIT_MS = 10_000;

export function createTieredStore(options: TieredStoreOptions): TieredStore {
  const { embedded, remote, disk, spools, changed, log, now, ticks = () => performance.now() } = options;
  const locks = createKeyLocks({ waitMs: KEY_WAIT_MS });
  const buckets = new Map<string, TieredBucket>();
  const edgeFolder = `${EDGE_FOLDER}${remote.id}/`;
  const queueFolder = `queue/${remote.id}/`;
  let isClosed = false;

  const uploads = createUploads({
    uploadOne: ({ bucketId, key }) => bucketOf(bucketId).upload(key),
    isDown: () => remote.isDown,
    log,
    now,
  });
  remote.onRecovery(() => uploads.resume());
  // The queue takes its room from the copies.
  disk.reserve(() => uploads.backlog().bytes);

  function bucketOf(id: string): TieredBucket {
    const known = buckets.get(id) ?? open(id);
    buckets.set(id, known);
    return known;
  }

  function open(id: string): TieredBucket {
    const [edgeId, queueId] = [edgeFolder + id, queueFolder + id];
    const edge = createEdge({ bucketId: edgeId, embedded, disk, log, ticks });
    const unconfirmed = new Set<Key>();
    return createTieredBucket({
      id,
      remote: remote.bucket(id),
      queue: embedded.bucket(queueId),
      edge,
      isDown: () => remote.isDown,
      damaged: createDamagedObjects(ticks),
      unconfirmed,
      locks,
      addUpload: ({ key, size }) => uploads.add({ bucketId: id, key, size, since: now() }),
      async unqueue(info, to) {
        const { key, size, hashes } = info;
        if (to === "nowhere" || size > disk.maxCopyBytes) await embedded.forget(queueId, key, hashes.sha256);
        else {
          await embedded.move(queueId, edgeId, key, hashes.sha256);
          edge.noteAdded(info);
        }
        unconfirmed.delete(key);
      },
      maxCopyBytes: () => disk.maxCopyBytes,
      checkRoom,
      spools,
      changed: (key) => changed(id, key),
      log,
      now,
      ticks,
    });
  }

  function checkRoom(bytes: number): void {
    const { depth, bytes: queued } = uploads.backlog();
    if (depth < MAX_QUEUED && queued + bytes <= disk.maxBytes) return;
    const found = `${depth} objects with ${queued} bytes wait for upload, limits.disk is ${disk.maxBytes}`;
    throw new HuiyuanError("store_full", `Cannot queue another object: ${found}`);
  }

  /** Resumes the uploads that an earlier run left in the queue. */
  async function loadQueue(): Promise<void> {
    for (const id of embedded.listBuckets()) {
      if (!id.startsWith("queue/")) continue;
      if (!id.startsWith(queueFolder)) await logStranded(id);
      else {
        const bucketId = id.slice(queueFolder.length);
        for await (const { key, size, storedAt } of objectsIn(embedded.bucket(id), () => isClosed)) {
          bucketOf(bucketId).markUnconfirmed(key);
          uploads.add({ bucketId, key, size, since: storedAt });
        }
      }
    }
  }

  async function logStranded(id: string): Promise<void> {
    const { objects } = await embedded.bucket(id).usage();
    if (objects > 0)
      log.warn({ queue: id, objects }, "images are queued for a store that is no longer in the settings");
  }

  const loadingQueue = loadQueue().catch((error: unknown) =>
    log.error({ err: error }, "cannot resume the uploads of the last run"),
  );

  return {
    bucket: bucketOf,
    uploads: {
      backlog: uploads.backlog,
      idle: () => Promise.all([loadingQueue, disk.counted]).then(uploads.idle),
    },
    notes() {
      const since = remote.outageSince();
      if (since === undefined || !remote.isDown) return [];
      const { depth } = uploads.backlog();
      return [
        `${remote.name} has not answered for ${Math.round((performance.now() - since) / 1_000)} s; ${depth} images wait for upload`,
      ];
    },
    async probe() {
      await embedded.probe();
      checkRoom(0);
    },
    async close() {
      isClosed = true;
      await loadingQueue;
      await uploads.stop(STOP_MS);
      await remote.close();
    },
  };
}
