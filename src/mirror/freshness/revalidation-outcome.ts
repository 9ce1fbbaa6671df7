// Maps the end of a revalidation to what its client is served. It applies nothing to the store.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { Fill } from "../fill/fill.ts";
import type { Late } from "../fill/join.ts";
import { absent } from "../negative-cache.ts";
import type { PendingWrite } from "../storing/pending-writes.ts";
import type { RevalidationEnd } from "./revalidation-effects.ts";

/**
 * The stored object is looked up again and served: the origin confirmed it, has no such object, or sent nothing usable.
 */
export interface StaleKept {
  readonly kind: "kept";
  readonly why: "current" | "gone" | "failed";
}

/**
 * `new`: the bytes of this fill, which has ended, are served; if `how` is late, they are a pending write of an earlier
 * one.
 */
export type RevalidationOutcome =
  | StaleKept
  | { readonly kind: "new"; readonly fill: Fill; readonly how: "first" | Late };

/** `mayServeStale`: the stored object may be served. */
export function revalidationOutcome(key: Key, outcome: RevalidationEnd, mayServeStale: boolean): RevalidationOutcome {
  switch (outcome.kind) {
    case "current":
    case "gone":
      return { kind: "kept", why: outcome.kind };
    case "removed":
      throw absent(key);
    case "failed":
      if (mayServeStale) return { kind: "kept", why: "failed" };
      throw outcome.error;
    case "suspect":
      return mayServeStale ? { kind: "kept", why: "failed" } : { kind: "new", fill: outcome.fill, how: "first" };
    case "new":
      return { kind: "new", fill: outcome.fill, how: "first" };
  }
}

/** Serves the pending write instead of the stored object. */
export function instead({ fill }: PendingWrite, how: Late): RevalidationOutcome {
  return { kind: "new", fill, how };
}

export function isNothingNew({ kind }: RevalidationEnd): boolean {
  return kind === "failed" || kind === "suspect" || kind === "gone";
}

/** Waits with the deadline of one client; the revalidation continues. */
export async function inTime(
  outcome: RevalidationEnd | Promise<RevalidationEnd>,
  key: Key,
  timeoutMs: number,
): Promise<RevalidationEnd> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<RevalidationEnd>((resolve) => {
    const message = `Cannot wait longer to revalidate "${key}": no answer in ${timeoutMs} ms`;
    const error = new HuiyuanError("origin_timeout", message);
    timer = setTimeout(resolve, timeoutMs, { kind: "failed", error });
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
