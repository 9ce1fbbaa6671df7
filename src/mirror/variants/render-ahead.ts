// Rendering the styles of an image that has just been uploaded, before anybody asks: one render at a time, in the same line as
// those that clients wait for. What does not come to it is made when it is asked for.
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import type { Stored } from "../stored/stored.ts";
import type { Variant, Variants, WatermarkImage } from "./variants.ts";

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

export interface RenderAhead {
  /** What is stored under the key when its turn comes. Never throws; a full line forgets the task. */
  begin(task: AheadTask): void;
  /** Images that wait or are being rendered. */
  readonly waiting: number;
}

export interface RenderAheadOptions {
  readonly log: Log;
  /** Aborted: begin no more. */
  readonly signal: AbortSignal;
}

const MAX_WAITING = 1_000;
/** What today's browsers take. */
const FORMAT = "autoAvif";

export function createRenderAhead({ log, signal }: RenderAheadOptions): RenderAhead {
  const line: AheadTask[] = [];
  let isWorking = false;

  async function work(): Promise<void> {
    isWorking = true;
    for (let task = line[0]; task !== undefined && !signal.aborted; task = line[0]) {
      await renderStyles(task);
      line.shift();
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
    const since = variants.moment();
    const entry = await stored.lookup(key);
    if (entry.state !== "object") return;
    const { info } = entry;
    const { watermarks, isStorable, release } = await findWatermarks(named.signedWatermarks, signal);
    try {
      const bytes = stored.bytesOf(info);
      letGo(await variants.get({ version: info, since, named, watermarks, bytes, isStored: isStorable, signal }));
    } finally {
      release();
    }
  }

  return {
    begin(task) {
      if (task.styles.length === 0 || signal.aborted) return;
      if (line.length >= MAX_WAITING) {
        log.debug(
          { bucket: task.stored.bucketId, key: task.key },
          "styles are not rendered ahead: too many images wait",
        );
        return;
      }
      line.push(task);
      if (!isWorking) void work();
    },
    get waiting() {
      return line.length;
    },
  };
}

function letGo(variant: Variant): void {
  if (variant.kind === "made") variant.release();
  else if (variant.found.state === "large") variant.found.reader.close();
}
