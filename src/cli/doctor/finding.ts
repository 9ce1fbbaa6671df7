// Types of the doctor: findings about an origin, and hints for the proposed settings.
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";

/** `problem`: images will fail or be wrong. `warning`: it works, with a drawback. */
export type Severity = "good" | "note" | "warning" | "problem";

export interface Finding {
  /** Name of the check; stable, for machines. */
  readonly id: string;
  readonly severity: Severity;
  /** The observation, in one line. */
  readonly found: string;
  /** The consequence, and what to do. */
  readonly means?: string;
}

/** Settings that should differ from the defaults, beside the origin's address. */
export interface Hints {
  type?: "everything";
  headMiss?: "store";
  referer?: string;
  /** Milliseconds. */
  firstByte?: number;
}

/** Collects findings while the checks run. */
export interface Notes {
  /** Aborting ends the examination. */
  readonly signal: AbortSignal;
  readonly hints: Hints;
  say(finding: Finding): void;
  /** Shows the current step. */
  doing(text: string): void;
}

/** Returns a failure of the origin. Rethrows other errors: an abort, the byte limit, or failures of this program. */
export function originFailure(error: unknown, { signal }: Notes): HuiyuanError {
  signal.throwIfAborted();
  const known = asHuiyuanError(error);
  if (known.code === "internal" || known.code === "overloaded") throw error;
  return known;
}

/** Writes a duration as `12 ms` or `1.3 s`. */
export function formatMs(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}

/** Writes a size as `640 B`, `12 KB` or `1.3 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
