// A renderer without processes: a real queue for one render slot, and results that a test releases. For tests only.
import { createSemaphore } from "../../src/async/semaphore.ts";
import { overloaded } from "../../src/serve/image/limits/render-scheduler.ts";
import type { Renderer, RenderRequest } from "../../src/serve/image/renderer.ts";
import { LIMITS } from "./rendering.ts";
import { createLatch } from "./spools.ts";

export interface FakeRenderer extends Renderer {
  /** All renders that have started, in order. */
  readonly begun: readonly RenderRequest[];
  /** Lets the started render with this index (from 0) end. If `holds` is not set, each ends by itself. */
  letGo(index: number): void;
  holds: boolean;
}

/** `make` returns the result for an image's bytes; it may throw. */
export function fakeRenderer(make: (bytes: Buffer, request: RenderRequest) => Buffer | Promise<Buffer>): FakeRenderer {
  const queue = createSemaphore(1, { maxWaiting: 4, waitMs: 60_000, overloaded });
  const begun: RenderRequest[] = [];
  const latches: ReturnType<typeof createLatch>[] = [];
  return {
    begun,
    holds: false,
    letGo: (index) => latches[index]?.open(),
    limits: { ...LIMITS, sourceBytes: 1_000_000 },
    resize() {},
    get running() {
      return queue.running;
    },
    get waiting() {
      return queue.waiting;
    },
    verify: () => Promise.resolve(),
    async render(request) {
      const release = await queue.acquire(request.signal);
      try {
        const latch = createLatch();
        latches.push(latch);
        begun.push(request);
        const bytes = await request.load();
        request.begin?.();
        if (this.holds) await latch.opened;
        return await make(bytes, request);
      } finally {
        release();
      }
    },
    close: () => Promise.resolve(),
  };
}
