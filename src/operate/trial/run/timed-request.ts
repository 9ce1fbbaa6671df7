// Sends single requests to the trial's mirror and measures them. It prints nothing.
import { setTimeout as delay } from "node:timers/promises";

/** One measured answer. */
export interface Measured {
  readonly status: number;
  /** False if the connection broke before the end of the body. */
  readonly isWhole: boolean;
  readonly bytes: number;
  /** Until the last byte. */
  readonly milliseconds: number;
}

export interface TimedAnswer extends Measured {
  readonly cacheStatus: string;
}

export function isImage<Answer extends Measured>(measured: Answer | undefined): measured is Answer {
  return measured?.status === 200 && measured.isWhole;
}

export function medianMsOf(answers: readonly Measured[]): number {
  const sorted = answers.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

const FIRST_PAUSE_MS = 25;

/** Sends one request; of the body it keeps only the length. Rejects with the reason of `signal`. */
export async function timedRequest(
  url: string,
  signal: AbortSignal,
  method: "GET" | "HEAD" = "GET",
): Promise<TimedAnswer> {
  const startedAt = performance.now();
  const { status, headers, body } = await fetch(url, { method, signal });
  let bytes = 0;
  let isWhole = true;
  try {
    for await (const chunk of body ?? []) bytes += chunk.byteLength;
  } catch (error) {
    if (signal.aborted) throw error;
    isWhole = false;
  }
  const milliseconds = performance.now() - startedAt;
  return { status, isWhole, bytes, milliseconds, cacheStatus: headers.get("cache-status") ?? "" };
}

export type Source = "origin" | "memory" | "bucket" | "spool" | "nowhere";

/** The source of an answer. `spool`: fetched, and pending for the bucket. `nowhere`: an error. */
export function sourceOf({ cacheStatus }: TimedAnswer): Source {
  if (cacheStatus.includes("fwd=")) return "origin";
  const [, detail] = /; hit; detail=(memory|bucket|spool)\b/.exec(cacheStatus) ?? [];
  return (detail as Source | undefined) ?? "nowhere";
}

/** True if the mirror fetched the whole image from the origin for this request. */
export function isFetched(answer: TimedAnswer | undefined): answer is TimedAnswer {
  return isImage(answer) && sourceOf(answer) === "origin";
}

/** Waits until the mirror has stored the image. False if it has not within `milliseconds`, or does not answer. */
export async function waitUntilStored(url: string, milliseconds: number): Promise<boolean> {
  const signal = AbortSignal.timeout(milliseconds);
  try {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
      const source = sourceOf(await timedRequest(url, signal, "HEAD"));
      if (source === "memory" || source === "bucket") return true;
      await delay(pauseMs, undefined, { signal });
    }
  } catch {
    return false; // The request has failed, or the time is over.
  }
}
