// Uploads in slices (分片上传) that are under way: at most so many of each project, for 24 hours at most, across restarts.
// A stored one is remembered as long, since a client that missed the answer to its last slice sends that again.
import { randomBytes } from "node:crypto";
import type { FreeSpace } from "../../bucket/fs/free-space.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { FoundSlices, SliceFolder } from "./slice-folder.ts";
import type { SliceOrder, SlicePhase } from "./slice-note.ts";

/** One upload in slices. Only whoever holds it may change it. */
export interface SliceUpload {
  readonly id: string;
  readonly order: SliceOrder;
  readonly phase: SlicePhase;
  /** Acknowledged bytes, from the start. */
  readonly received: number;
  readonly path: string;
  /** As SliceFolder.lend. */
  linkBytes(): Promise<string>;
  /** One after the other. */
  runExclusive<Result>(run: () => Promise<Result>): Promise<Result>;
  /** The next `size` bytes; acknowledged when it resolves. Throws store_full, store_failed. */
  append(chunks: AsyncIterable<Buffer>, size: number): Promise<void>;
  /** To be called before the image is given to the bucket, and when that has it. */
  setPhase(phase: "storing" | "stored"): Promise<void>;
  /** Forgets it. */
  discard(): Promise<void>;
}

export interface Slices {
  /** Throws overloaded, store_full, store_failed. */
  begin(order: Omit<SliceOrder, "startedAt">): Promise<SliceUpload>;
  /** Undefined: there is none of this id, or it is over 24 hours old. */
  find(id: string): SliceUpload | undefined;
  /** Uploads that are not stored yet. */
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
/** Not stored yet, of one project; and stored ones that are remembered. */
const MAX_RUNNING = 256;
const MAX_STORED = 1_000;
/** When there are too many, one that nothing has come for so long makes room. */
const IDLE_MS = 3_600_000;
const SWEEP_MS = 600_000;

interface Running extends SliceUpload {
  /** As performance.now(). */
  lastUsedAt: number;
}

/** Takes up what the last run left. Throws store_failed. */
export async function openSlices(options: SlicesOptions): Promise<Slices> {
  const { folder, freeSpace, log, now, ticks = () => performance.now() } = options;
  const uploads = new Map<string, Running>();

  function track(id: string, order: SliceOrder, state: { phase: SlicePhase; received: number }): Running {
    let last: Promise<unknown> = Promise.resolve();
    const upload: { -readonly [Name in keyof Running]: Running[Name] } = {
      id,
      order,
      path: folder.pathOf(id),
      linkBytes: () => folder.linkBytes(id),
      lastUsedAt: ticks(),
      phase: state.phase,
      received: state.received,
      runExclusive(run) {
        const result = last.then(run);
        last = result.catch(() => undefined); // Told to whoever ran it.
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

  /** Takes its place at once: others begin in the same moment. */
  function admit(id: string, order: SliceOrder): Running {
    const running = ofProject(order.appid, false);
    if (running.length >= MAX_RUNNING) {
      const [idlest] = running.toSorted((one, other) => one.lastUsedAt - other.lastUsedAt);
      if (idlest === undefined || idlest.lastUsedAt > ticks() - IDLE_MS) {
        const message = `Cannot begin another upload in slices: project ${order.appid} has ${running.length} under way`;
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
    // What comes behind the last whole slice was never acknowledged. Without a file the bucket may have the image.
    const whole = bytes === undefined || bytes >= order.size ? order.size : bytes - (bytes % order.sliceSize);
    if (hasExpired(order) || (bytes === undefined && phase === "arriving")) await drop(id);
    else track(id, order, { phase, received: whole });
  }

  for (const found of await folder.read()) await restore(found);
  if (uploads.size > 0) log.info({ uploads: uploads.size }, "took up uploads in slices of the last run");
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
      let count = 0;
      for (const { phase } of uploads.values()) if (phase !== "stored") count += 1;
      return count;
    },
    close: () => clearInterval(timer),
  };
}
