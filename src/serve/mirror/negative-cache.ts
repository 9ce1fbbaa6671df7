// The negative cache of one mirror: keys that the origin lacks, or whose fetch has just failed. Bounded. An entry holds
// only for the epoch at which it was made, so a delete, purge or upload of the key ends it.
import { hash } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import { createExpiring } from "./expiring.ts";
import { FAILURE_MS, isRemembered, type PolicyRules } from "./policy.ts";

/** A fetch at an epoch of its key. `id`: fillId(). */
interface FetchAt {
  readonly id: string;
  readonly epoch: number;
}

export interface NegativeCache {
  /** not_found, or the recent failure, while the origin need not be contacted again. */
  known(at: FetchAt & { readonly key: Key }): HuiyuanError | undefined;
  absent(at: FetchAt): void;
  failed(at: FetchAt, error: HuiyuanError): void;
}

const MAX_ABSENT = 100_000;
/** Each holds an error message with a URL. */
const MAX_FAILED = 2_000;
/** An id may contain some kilobytes that a client sent; longer ones are replaced by their digest. Characters. */
const MAX_ID = 64;

/** `ticks`: as performance.now(). */
export function createNegativeCache(
  { negativeTtlMs }: Pick<PolicyRules, "negativeTtlMs">,
  ticks: () => number,
): NegativeCache {
  const absences = createExpiring<number>(MAX_ABSENT);
  const failures = createExpiring<{ readonly epoch: number; readonly error: HuiyuanError }>(MAX_FAILED);
  return {
    known({ id: whole, key, epoch }) {
      const at = ticks();
      const id = short(whole);
      const absentAt = absences.get(id, at);
      if (absentAt !== undefined && absentAt >= epoch) return absent(key);
      const failure = failures.get(id, at);
      return failure !== undefined && failure.epoch >= epoch ? failure.error : undefined;
    },
    absent({ id, epoch }) {
      absences.set(short(id), epoch, { now: ticks(), ttlMs: negativeTtlMs });
    },
    failed({ id, epoch }, error) {
      if (!isRemembered(error)) return;
      failures.set(short(id), { epoch, error }, { now: ticks(), ttlMs: FAILURE_MS });
    },
  };
}

/** No key contains NUL, so no id can equal the digest of another one. */
function short(id: string): string {
  return id.length <= MAX_ID ? id : `\0${hash("sha256", id, "base64url")}`;
}

/** The not_found error of a key. */
export function absent(key: Key): HuiyuanError {
  return new HuiyuanError("not_found", `Cannot serve "${key}": the origin has no such image`);
}
