// A store that keeps its objects in a remote store and uses a bounded part of this disk in front of it: for copies that
// are served without a request, and for pending objects. This file opens, wires and closes the parts.
import { createKeyLocks } from "../../../async/key-locks.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { ALONE, type Coordination } from "../contract/coordination.ts";
import type { Store } from "../contract/driver.ts";
import type { FsStore } from "../fs/fs-store.ts";
import type { RemoteStore } from "../remote/remote.ts";
import { createTieredBucket, type TieredBucket } from "./bucket.ts";
import { type DiskCache, EDGE_FOLDER, rowsIn } from "./disk/disk-cache.ts";
import { createEdge } from "./disk/edge.ts";
import { createMarks } from "./marks.ts";
import { createDamagedObjects } from "./reading/damaged.ts";
import { createUploads, type Upload, type Uploads } from "./uploads.ts";

export interface TieredStoreOptions {
  /** The store on this disk. The tier uses bucket names of its own in it. The caller closes it, after the tier. */
  readonly embedded: Pick<FsStore, "bucket" | "listBuckets" | "probe">;
  /** Closed with the tier. */
  readonly remote: RemoteStore;
  readonly spools: SpoolPool;
  /** Concurrent connections to the remote store. One in eight is for uploads, so downloads find one. */
  readonly connections: number;
  /** Bounds the copies, beside the pending objects. The caller closes it, after the tier. */
  readonly disk: DiskCache;
  /** Reports that an object differs from what this server has served, so that the memory cache drops it. */
  readonly changed: (bucketId: string, key: Key) => void;
  /** The other nodes on the remote store; default none. */
  readonly coordination?: Coordination;
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
  /** As in TieredBucket. */
  follow(bucketId: string, key: Key): void;
  followAll(): void;
}

/** Each takes about 300 bytes of memory. */
const MAX_PENDING = 100_000;
const STOP_MS = 3_000;
/** Wait for the lock of a key. A change may hold it for long, while it waits for the remote store. */
const KEY_WAIT_MS = 10_000;

export function createTieredStore(options: TieredStoreOptions): TieredStore {
  const { embedded, remote, disk, spools, changed, log, now, connections } = options;
  const { ticks = () => performance.now(), coordination = ALONE } = options;
  const locks = createKeyLocks({ waitMs: KEY_WAIT_MS });
  const buckets = new Map<string, TieredBucket>();
  const edgeFolder = `${EDGE_FOLDER}${remote.id}/`;
  let isClosed = false;

  const uploads = createUploads({
    uploadOne: ({ bucketId, key }) => bucketOf(bucketId).upload(key),
    isDown: () => remote.isDown,
    maxConcurrent: Math.max(1, Math.floor(connections / 8)),
    log,
    now,
  });
  remote.onRecovery(() => uploads.resume());
  // Pending objects take their room from the copies.
  disk.reserve(() => uploads.backlog().bytes);

  function bucketOf(id: string): TieredBucket {
    const known = buckets.get(id) ?? open(id);
    buckets.set(id, known);
    return known;
  }

  function open(id: string): TieredBucket {
    return createTieredBucket({
      id,
      remote: remote.bucket(id),
      edge: createEdge({ bucketId: edgeFolder + id, embedded, disk, log }),
      isDown: () => remote.isDown,
      damaged: createDamagedObjects(ticks),
      marks: createMarks(now),
      coordination,
      locks,
      addUpload: ({ key, size }) => addUpload({ bucketId: id, key, size, since: now() }),
      maxCopyBytes: () => disk.maxCopyBytes,
      checkRoom,
      spools,
      changed: (key) => changed(id, key),
      log,
      now,
      ticks,
    });
  }

  function addUpload(upload: Upload): void {
    uploads.add(upload);
    disk.evict();
  }

  function checkRoom(bytes: number): void {
    const { depth, bytes: pending } = uploads.backlog();
    if (depth < MAX_PENDING && pending + bytes <= disk.maxBytes) return;
    const found = `${depth} objects with ${pending} bytes wait for upload, limits.disk is ${disk.maxBytes}`;
    throw new HuiyuanError("store_full", `Cannot store another object: ${found}`);
  }

  /** Resumes the uploads that an earlier run left. */
  async function loadPending(): Promise<void> {
    const found: Upload[] = [];
    for (const id of embedded.listBuckets()) {
      if (!id.startsWith(EDGE_FOLDER)) continue;
      const isOurs = id.startsWith(edgeFolder);
      const bucketId = id.slice(edgeFolder.length);
      let stranded = 0;
      for await (const { key, size, storedAt } of rowsIn(embedded.bucket(id), "pending", () => isClosed)) {
        if (isOurs) found.push({ bucketId, key, size, since: storedAt });
        else stranded += 1;
      }
      const message = "images wait for their upload to a store that is no longer in the settings";
      if (stranded > 0) log.warn({ folder: id, objects: stranded }, message);
    }
    // Oldest first, because backlog() reports the age of the first.
    for (const upload of found.sort((a, b) => a.since - b.since)) addUpload(upload);
  }

  const loadingPending = loadPending().catch((error: unknown) =>
    log.error({ err: error }, "cannot resume the uploads of the last run"),
  );

  return {
    bucket: bucketOf,
    uploads: {
      backlog: uploads.backlog,
      idle: () => Promise.all([loadingPending, disk.counted]).then(uploads.idle),
    },
    notes() {
      const since = remote.outageSince();
      if (since === undefined || !remote.isDown) return [];
      const { depth } = uploads.backlog();
      return [
        `${remote.name} has not answered for ${Math.round((performance.now() - since) / 1_000)} s; ${depth} images wait for upload`,
      ];
    },
    follow: (bucketId, key) => buckets.get(bucketId)?.follow(key),
    followAll() {
      for (const bucket of buckets.values()) bucket.followAll();
    },
    async probe() {
      await embedded.probe();
      checkRoom(0);
    },
    async close() {
      isClosed = true;
      await loadingPending;
      await uploads.stop(STOP_MS);
      await remote.close();
    },
  };
}
