// What one who asked for something newer than a stored object gets of the question that was put to its origin.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { Fill } from "../fill/fill.ts";
import type { Late } from "../fill/join.ts";
import { absent } from "../negative-cache.ts";
import type { PendingWrite } from "../storing/pending-writes.ts";
import type { RevalidationEnd } from "./revalidation-effects.ts";

/** What is stored is to be served, looked up again: the origin confirms it, has none any more, or gives nothing of use. */
export interface StaleKept {
  readonly kind: "kept";
  readonly why: "current" | "gone" | "failed";
}

/** `new`: the fill has ended, with bytes that are to be served; those of an earlier question wait for the store. */
export type RevalidationOutcome =
  | StaleKept
  | { readonly kind: "new"; readonly fill: Fill; readonly how: "first" | Late };

/** `mayHelp`: the stored object. */
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

/** What waits for the store, before what is stored. */
export function instead({ fill }: PendingWrite, how: Late): RevalidationOutcome {
  return { kind: "new", fill, how };
}

export function isNothingNew({ kind }: RevalidationEnd): boolean {
  return kind === "failed" || kind === "suspect" || kind === "gone";
}

/** The wait of one client; the question goes on. */
export async function inTime(
  outcome: RevalidationEnd | Promise<RevalidationEnd>,
  key: Key,
  timeoutMs: number,
): Promise<RevalidationEnd> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<RevalidationEnd>((resolve) => {
    const message = `Cannot wait longer for the origin's word on "${key}": none in ${timeoutMs} ms`;
    const error = new HuiyuanError("origin_timeout", message);
    timer = setTimeout(resolve, timeoutMs, { kind: "failed", error });
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
