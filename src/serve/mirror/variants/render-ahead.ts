// Renders the styles of an uploaded image before the first request for them: one render at a time, in the same queue as
// the renders that clients wait for. A style that is skipped is rendered on its first request.
import { asHuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Key } from "../../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import type { Stored } from "../stored/stored.ts";
import type { Variants, WatermarkImage } from "./variants.ts";

export interface AheadTask {
  readonly stored: Stored;
  readonly variants: Variants;
  readonly key: Key;
  readonly styles: readonly NamedRecipe[];
  /** Finds the images that a recipe lays over others. */
  readonly findWatermarks: (
    urls: readonly string[],
    signal: AbortSignal,
  ) => Promise<{
    readonly watermarks: ReadonlyMap<string, WatermarkImage>;
    readonly isStorable: boolean;
    release(): void;
  }>;
}

const MAX_WAITING = 1_000;
/** The format for browsers that accept AVIF. */
const FORMAT = "autoAvif";

/** Once `signal` is aborted, no further render begins. */
export function createRenderAhead({ log, signal }: { readonly log: Log; readonly signal: AbortSignal }) {
  const queue: AheadTask[] = [];
  let isWorking = false;

  async function work(): Promise<void> {
    isWorking = true;
    for (let task = queue[0]; task !== undefined && !signal.aborted; task = queue[0]) {
      await renderStyles(task);
      queue.shift();
    }
    isWorking = false;
  }

  async function renderStyles(task: AheadTask): Promise<void> {
    const { stored, key, styles } = task;
    for (const style of styles) {
      try {
        await renderStyle(task, style.negotiated?.(FORMAT) ?? style);
      } catch (error) {
        const err = asHuiyuanError(error);
        log.debug({ bucket: stored.bucketId, key, code: err.code, err }, "a style was not rendered ahead");
      }
    }
  }

  async function renderStyle({ stored, variants, key, findWatermarks }: AheadTask, named: NamedRecipe): Promise<void> {
    const entry = await stored.lookup(key);
    if (entry.state !== "object") return;
    const { info } = entry;
    const { watermarks, isStorable, release } = await findWatermarks(named.signedWatermarks, signal);
    try {
      const bytes = stored.bytesOf(info);
      const request = { version: info, named, watermarks, bytes, isStored: isStorable, signal };
      const { found } = await variants.get(request);
      if (found.state === "large") found.reader.close();
    } finally {
      release();
    }
  }

  return {
    /** Renders the object that the key has when its turn comes. Never throws; drops the task if the queue is full. */
    begin(task: AheadTask): void {
      if (task.styles.length === 0 || signal.aborted) return;
      if (queue.length >= MAX_WAITING) {
        const about = { bucket: task.stored.bucketId, key: task.key };
        log.debug(about, "styles are not rendered ahead: too many images wait");
        return;
      }
      queue.push(task);
      if (!isWorking) void work();
    },
    /** Images that wait or are being rendered. */
    get waiting() {
      return queue.length;
    },
  };
}
