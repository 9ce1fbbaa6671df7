// One render for all clients that wait for the same variant. It reads the images of a client that still has them. It is
// cancelled when the last client leaves before a render process has it. It stores nothing.

import { abortable, type Cancellation, CancellationSource, type SharedSignal } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Renderer, RenderRequest } from "../../image/renderer.ts";
import { downloadAll, isRemote, type PrefetchedImages, type RenderImages } from "../stored/image-bytes.ts";

/** Equal for all clients of a render, but for `images`. */
export interface RenderTask extends Pick<RenderRequest, "recipe" | "size" | "image"> {
  /** The images of the first client. */
  readonly images: RenderImages;
}

export interface SharedRender {
  /** Adds the images of a client, also of the first one. The returned function withdraws them; call it once. */
  join(images: RenderImages): () => void;
  /** False: it was cancelled, or no client has its images any more. Another client needs another render. */
  isJoinable(): boolean;
  /** `milliseconds`: from the slot to the result. Throws as Renderer.render, and client_gone if it was cancelled. */
  readonly result: Promise<{ readonly bytes: Buffer; readonly milliseconds: number }>;
}

/** Starts a render with one client. `stop`: the program is stopping. */
export function startRender(renderer: Renderer, task: RenderTask, stop: SharedSignal): SharedRender {
  /** One for each client that waits. */
  const waiting = new Set([task.images]);
  const cancellation = new CancellationSource();
  /** A process has it. It is finished even without clients, because the variant is likely to be requested again. */
  let hasStarted = false;
  let isJoinable = true;

  /**
   * Reads from the first client whose images still exist. If a version is purged, clients that found it in the bucket
   * lose their bytes, and a client that has just fetched it does not. Throws original_replaced if all lost theirs.
   */
  async function readAny<Value>(read: (images: RenderImages) => Promise<Value>): Promise<Value> {
    let failure: unknown;
    // Iteration over a Set skips clients that leave meanwhile, and reaches those that join.
    for (const images of waiting) {
      try {
        return await read(images);
      } catch (error) {
        failure = error;
        if (!(error instanceof HuiyuanError) || error.code !== "original_replaced") break;
      }
    }
    isJoinable = false;
    throw failure ?? abandoned();
  }

  const prefetch = async (images: RenderImages) =>
    isRemote(images) ? releasedLate(downloadAll(images), cancellation) : undefined;

  async function run(): Promise<{ readonly bytes: Buffer; readonly milliseconds: number }> {
    const { images, ...request } = task;
    const stopListening = stop.listeners.add(() => cancellation.cancel(stop.signal.reason));
    let held: PrefetchedImages | undefined;
    let beganAt = performance.now();
    try {
      if (isRemote(images)) held = await readAny(prefetch);
      const bytes = await renderer.render({
        ...request,
        load() {
          beganAt = performance.now();
          return held?.load() ?? readAny((client) => client.bytes.load());
        },
        loadImage: (url) => held?.loadImage(url) ?? readAny(async (client) => client.watermarks.get(url)?.bytes.load()),
        begin() {
          hasStarted = true;
        },
        signal: cancellation,
      });
      return { bytes, milliseconds: performance.now() - beganAt };
    } finally {
      held?.release();
      stopListening();
    }
  }

  function join(images: RenderImages): () => void {
    waiting.add(images);
    return () => {
      waiting.delete(images);
      if (waiting.size > 0 || hasStarted) return;
      isJoinable = false;
      cancellation.cancel(abandoned());
    };
  }

  return {
    join,
    isJoinable: () => isJoinable,
    result: run(),
  };
}

/** Releases images that arrive after the render was cancelled. */
function releasedLate(coming: Promise<PrefetchedImages>, cancellation: Cancellation): Promise<PrefetchedImages> {
  return abortable(coming, cancellation).catch((error: unknown) => {
    coming.then(({ release }) => release()).catch(() => undefined); // Its failure is `error`, or no longer matters.
    throw error;
  });
}

function abandoned(): HuiyuanError {
  return new HuiyuanError("client_gone", "Cannot render: no client waits for the result");
}
