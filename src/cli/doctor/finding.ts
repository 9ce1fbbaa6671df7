// What the doctor has to say of an origin, and what it takes down for the settings that it will propose.
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";

/** `problem`: images will not come, or wrong ones will. `warning`: works, at a price that should be known. */
export type Severity = "good" | "note" | "warning" | "problem";

export interface Finding {
  /** What was looked at: stable, for machines. */
  readonly id: string;
  readonly severity: Severity;
  /** One line: what was seen. */
  readonly found: string;
  /** What follows from it, and what to do. */
  readonly means?: string;
}

/** What the settings should say beside the origin's address; nothing that is the default anyway. */
export interface Hints {
  type?: "everything";
  headMiss?: "store";
  referer?: string;
  /** Milliseconds. */
  firstByte?: number;
}

/** Written down as they come. */
export interface Notes {
  /** Aborted: the examination is over. */
  readonly signal: AbortSignal;
  readonly hints: Hints;
  say(finding: Finding): void;
  /** What is being done now, for whoever waits. */
  doing(text: string): void;
}

/** A failure of the origin. Throws what is none: the examination is over, or this program has failed. */
export function originFailure(error: unknown, { signal }: Notes): HuiyuanError {
  signal.throwIfAborted();
  const known = asHuiyuanError(error);
  if (known.code === "internal" || known.code === "overloaded") throw error;
  return known;
}

/** `12 ms`, `1.3 s` */
export function formatMs(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

/** `640 B`, `12 KB`, `1.3 MB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
