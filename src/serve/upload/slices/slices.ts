// Tracks uploads in slices (分片上传): a bounded number for each project, for at most 24 hours, across restarts. A stored
// upload is remembered that long too, because a client that missed the response to its last slice repeats it.
import { randomBytes } from "node:crypto";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { FreeSpace } from "../../bucket/fs/free-space.ts";
import type { FoundSlices, SliceFolder, SliceOrder, SlicePhase } from "./slice-folder.ts";

/** One upload in slices. Changes are made inside `runExclusive` only. */
export interface SliceUpload {
  readonly id: string;
  readonly order: SliceOrder;
  readonly phase: SlicePhase;
  /** Number of acknowledged bytes. */
  readonly received: number;
  readonly path: string;
  /** Runs the functions of one upload one after the other. */
  runExclusive<Result>(run: () => Promise<Result>): Promise<Result>;
  /** Appends the next `size` bytes, durable when it resolves. Throws store_full, store_failed. */
  append(chunks: AsyncIterable<Buffer>, size: number): Promise<void>;
  /** `storing` before the image is put into the bucket, `stored` afterwards. Throws store_full, store_failed. */
  setPhase(phase: "storing" | "stored"): Promise<void>;
  /** Removes the upload and its files. */
  discard(): Promise<void>;
}

export interface Slices {
  /** Throws overloaded, store_full, store_failed. */
  begin(order: Omit<SliceOrder, "startedAt">): Promise<SliceUpload>;
  /** Undefined if the id is unknown or the upload is older than 24 hours. */
  find(id: string): SliceUpload | undefined;
  /** Number of uploads that are not stored yet. */
  readonly running: number;
  close(): void;
}

export interface SlicesOptions {
  readonly folder: SliceFolder;
  readonly freeSpace: FreeSpace;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}

const LIFE_MS = 86_400_000;
/** Bounds for one project: uploads that are not stored yet, and remembered ones. */
const MAX_RUNNING = 256;
const MAX_STORED = 1_000;
/** If there are too many, an upload that was idle this long is dropped. */
const IDLE_MS = 3_600_000;
const SWEEP_MS = 600_000;

interface Running extends SliceUpload {
  /** As performance.now(). */
  lastUsedAt: number;
}

/** Restores the uploads of the last run. Throws store_failed. */
export async function openSlices(options: SlicesOptions): Promise<Slices> {
  const { folder, freeSpace, log, now, ticks = () => performance.now() } = options;
  const uploads = new Map<string, Running>();

  function track(id: string, order: SliceOrder, state: { phase: SlicePhase; received: number }): Running {
    let last: Promise<unknown> = Promise.resolve();
    const upload: { -readonly [Name in keyof Running]: Running[Name] } = {
      id,
      order,
      path: folder.pathOf(id),
      lastUsedAt: ticks(),
      phase: state.phase,
      received: state.received,
      runExclusive(run) {
        const result = last.then(run);
        last = result.catch(() => undefined); // The caller gets the error.
        return result;
      },
      async append(chunks, size) {
        await freeSpace.check();
        await folder.append(id, upload.received, chunks);
        upload.received += size;
      },
      async setPhase(phase) {
        await folder.rewrite(id, { order, phase });
        upload.phase = phase;
        if (phase !== "stored") return;
        await folder.removeBytes(id);
        forgetOldest(order.appid);
      },
      discard: () => drop(id),
    };
    uploads.set(id, upload);
    return upload;
  }

  async function drop(id: string): Promise<void> {
    uploads.delete(id);
    await folder.remove(id);
  }

  const ofProject = (appid: string, isStored: boolean) =>
    [...uploads.values()].filter(({ order, phase }) => order.appid === appid && (phase === "stored") === isStored);

  function forgetOldest(appid: string): void {
    const [oldest, ...more] = ofProject(appid, true);
    if (oldest !== undefined && more.length >= MAX_STORED) void drop(oldest.id);
  }

  /** Registers the upload before any await, because others may begin in the same turn. Throws overloaded. */
  function admit(id: string, order: SliceOrder): Running {
    const running = ofProject(order.appid, false);
    if (running.length >= MAX_RUNNING) {
      const [idlest] = running.toSorted((one, other) => one.lastUsedAt - other.lastUsedAt);
      if (idlest === undefined || idlest.lastUsedAt > ticks() - IDLE_MS) {
        const message = `Cannot begin another upload in slices: project ${order.appid} has ${running.length} running`;
        throw new HuiyuanError("overloaded", message);
      }
      void drop(idlest.id);
    }
    return track(id, order, { phase: "arriving", received: 0 });
  }

  function sweep(): void {
    for (const { id, order } of uploads.values()) if (hasExpired(order)) void drop(id);
  }

  const hasExpired = ({ startedAt }: SliceOrder) => startedAt <= now() - LIFE_MS;

  async function restore({ id, note: { order, phase }, bytes }: FoundSlices): Promise<void> {
    // Bytes behind the last whole slice were never acknowledged. Without a file the bucket may have the image.
    const whole = bytes === undefined || bytes >= order.size ? order.size : bytes - (bytes % order.sliceSize);
    if (hasExpired(order) || (bytes === undefined && phase === "arriving")) await drop(id);
    else track(id, order, { phase, received: whole });
  }

  for (const found of await folder.read()) await restore(found);
  if (uploads.size > 0) log.info({ uploads: uploads.size }, "resumed the uploads in slices of the last run");
  const timer = setInterval(sweep, SWEEP_MS).unref();

  return {
    async begin(unstarted) {
      const order = { ...unstarted, startedAt: now() };
      const id = randomBytes(16).toString("hex");
      const upload = admit(id, order);
      try {
        await freeSpace.check();
        await folder.begin(id, { order, phase: "arriving" });
      } catch (error) {
        await drop(id);
        throw error;
      }
      return upload;
    },
    find(id) {
      const upload = uploads.get(id);
      if (upload === undefined || hasExpired(upload.order)) return undefined;
      upload.lastUsedAt = ticks();
      return upload;
    },
    get running() {
      return [...uploads.values()].filter(({ phase }) => phase !== "stored").length;
    },
    close: () => clearInterval(timer),
  };
}
