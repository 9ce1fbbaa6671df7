// The live figures of the console: one server-sent event a second to each open page. It counts nothing itself, and
// while no page is open it does nothing.
import { HuiyuanError } from "../../core/errors.ts";
import type { MetricSources, Totals } from "../admin/metric-values.ts";
import type { LiveFigures } from "./contract.ts";

export interface LiveParts {
  readonly totals: () => Totals;
  readonly sources: Pick<MetricSources, "origins" | "fills" | "renders" | "uploads" | "storing" | "memory">;
  /** Aborts when the server starts to shut down: all streams end. */
  readonly stopping: AbortSignal;
  /** Milliseconds; 1 s unless a test says otherwise. */
  readonly everyMs?: number;
}

export interface Live {
  /** The pages that are open. */
  readonly listeners: number;
  /**
   * A stream that ends after this many events, or once `isAllowed` is false. Throws overloaded if too many are open.
   */
  open(events: number, isAllowed?: () => boolean): ReadableStream<Uint8Array>;
}

const MAX_LISTENERS = 20;
const EVERY_MS = 1_000;
const TOP_ERRORS = 10;
const MAX_ORIGINS = 50;

/** An open stream. */
interface Listener {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly isAllowed: () => boolean;
  /** Events until its end. */
  left: number;
}

export function createLive({ totals, sources, stopping, everyMs = EVERY_MS }: LiveParts): Live {
  const listeners = new Set<Listener>();
  const encoder = new TextEncoder();
  let timer: NodeJS.Timeout | undefined;

  function eventNow(): Uint8Array {
    // A page opens an ended stream again after a second.
    return encoder.encode(`retry: 1000\ndata: ${JSON.stringify(figuresOf(totals(), sources))}\n\n`);
  }

  function add(listener: Listener): void {
    listeners.add(listener);
    timer ??= setInterval(() => {
      const event = eventNow();
      for (const each of listeners) {
        if (each.isAllowed()) send(each, event);
        else end(each);
      }
    }, everyMs).unref();
  }

  function remove(listener: Listener): void {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  function send(listener: Listener, event: Uint8Array): void {
    // A page that reads slowly misses events, and loses nothing: the figures are totals.
    if ((listener.controller.desiredSize ?? 0) > 0) listener.controller.enqueue(event);
    // Missed ones count too, so that no page holds a place for ever.
    listener.left -= 1;
    if (listener.left === 0) end(listener);
  }

  function end(listener: Listener): void {
    remove(listener);
    listener.controller.close();
  }

  stopping.addEventListener("abort", () => listeners.forEach(end));

  return {
    get listeners() {
      return listeners.size;
    },
    open(events, isAllowed = () => true) {
      if (listeners.size >= MAX_LISTENERS || stopping.aborted)
        throw new HuiyuanError("overloaded", `Cannot open live figures: ${listeners.size} pages have them open`);
      let listener: Listener | undefined;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          listener = { controller, isAllowed, left: events };
          add(listener);
          send(listener, eventNow());
        },
        cancel() {
          if (listener !== undefined) remove(listener);
        },
      });
    },
  };
}

function figuresOf(
  { requests, errors, bytes, savedBytes }: Totals,
  { origins, fills, renders, uploads, storing, memory }: LiveParts["sources"],
): LiveFigures {
  const { rss, heapUsed } = process.memoryUsage();
  const { running, waiting } = renders();
  const cache = memory();
  return {
    at: new Date().toISOString(),
    requests: [...requests],
    ...{ bytes, savedBytes },
    errors: [...errors]
      .sort(([, one], [, other]) => other - one)
      .slice(0, TOP_ERRORS)
      .map(([code, count]) => ({ code, count })),
    origins: firstOf(origins(), MAX_ORIGINS).map(({ name, state, running, waiting, pausedMs, latency }) => ({
      ...{ name, state, running, waiting, pausedMs, latency },
    })),
    running: {
      ...{ fills: fills(), renders: running, waitingRenders: waiting, uploads: uploads() },
      waitingWrites: storing().depth,
    },
    memory: { residentBytes: rss, heapBytes: heapUsed, cacheBytes: cache.bytes, cacheObjects: cache.objects },
  };
}

function firstOf<Item>(all: Iterable<Item>, most: number): Item[] {
  const first: Item[] = [];
  for (const item of all) if (first.push(item) === most) break;
  return first;
}
