// Copies one object: fetches it into a spool, proves that it is a whole image, and puts it into the target.

import { abortable } from "../../async/cancellation.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import { type Key, type ObjectInfo, toKey } from "../../core/object.ts";
import { Arrival } from "../../mirror/fill/arrival.ts";
import { describeFetched, type FillEnd } from "../../mirror/fill/fill-end.ts";
import type { OriginAnswer, Validators } from "../../origin/origin.ts";
import type { Job } from "../journal/journal.ts";
import type { Source } from "../source.ts";
import type { Replacement, Target } from "../target.ts";
import { differsFailure, MissingObject } from "./failure.ts";

export interface CopyContext {
  readonly source: Source;
  readonly target: Target;
  readonly spools: SpoolPool;
  readonly maxBytes: number;
  /** True: an image whose structure or declared hash is wrong is copied too. */
  readonly acceptsSuspects: boolean;
  readonly overwrite: Exclude<Replacement, "migrated">;
  /** Source and target may be without progress for this time. Milliseconds. */
  readonly timeoutMs: number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** `bytes`: 0 if the body was not sent. */
export interface Copied {
  readonly outcome: "stored" | "same" | "deleted";
  readonly bytes: number;
}

/** A slower transfer is given up. Bytes a second. */
const SLOWEST = 16_384;

/** Throws HuiyuanErrors, TargetRefusal and MissingObject, which describeFailure() reads, and the signal's reason. */
export function copyObject(job: Job, context: CopyContext, signal: AbortSignal): Promise<Copied> {
  return withinTime(job, context, signal, (own) => copy(job, context, own));
}

/** Throws origin_timeout if the work on the object takes too long for its size, and the signal's reason. */
export async function withinTime<Result>(
  job: Pick<Job, "locator" | "size">,
  { timeoutMs, maxBytes }: Pick<CopyContext, "timeoutMs" | "maxBytes">,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limitMs = 2 * timeoutMs + (1_000 * Math.min(job.size ?? maxBytes, maxBytes)) / SLOWEST;
  const own = new AbortController();
  const stop = () => own.abort(signal.reason);
  const timer = setTimeout(() => own.abort(tooSlow(job, limitMs)), limitMs);
  signal.addEventListener("abort", stop);
  try {
    // Aborted work cleans up after itself.
    return await abortable(work(own.signal), own.signal);
  } catch (error) {
    own.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

function tooSlow({ locator }: Pick<Job, "locator">, limitMs: number): HuiyuanError {
  return new HuiyuanError(
    "origin_timeout",
    `Cannot copy ${locator}: it took more than ${Math.ceil(limitMs / 1_000)} s`,
  );
}

async function copy(job: Job, context: CopyContext, signal: AbortSignal): Promise<Copied> {
  const { source, target, overwrite } = context;
  const key = toKey(job.fileid);
  const replace = overwrite === "none" && job.isChanged ? "migrated" : overwrite;
  let unless: Validators | undefined;
  if (target.isNear) {
    const there = await target.look(key, signal);
    if (there.state === "deleted") return { outcome: "deleted", bytes: 0 };
    if (there.state === "object") unless = there.validators;
  }
  const answer = await source.fetch({ object: job, unless, maxBytes: context.maxBytes, signal });
  if (answer === undefined) throw new MissingObject(missingText(job.locator));
  if (answer.isNotModified) return { outcome: "same", bytes: 0 };
  const arrived = await receive(answer, key, context, signal);
  try {
    const { body, info } = arrived;
    const outcome = await target.put({ info, body, replace, signal });
    if (outcome === "differs") throw differsFailure();
    return { outcome, bytes: outcome === "stored" ? info.size : 0 };
  } finally {
    arrived.release();
  }
}

async function receive(answer: OriginAnswer, key: Key, context: CopyContext, signal: AbortSignal) {
  const end = () => answer.body.destroy();
  const arrival = new Arrival({ key, announce: () => undefined }, answer, context.now(), context);
  signal.addEventListener("abort", end);
  try {
    await abortable(arrival.received, signal);
    arrival.judge();
    await arrival.complete();
    return whole(arrival.result(), key, context);
  } catch (error) {
    end();
    arrival.giveUp(asHuiyuanError(error));
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** Throws origin_truncated for a suspect image, and the error of the disk. */
function whole(end: FillEnd, key: Key, { acceptsSuspects, now }: CopyContext) {
  if (end.kind === "unstored") throw end.error;
  if (end.kind !== "whole" && end.kind !== "suspect") throw new HuiyuanError("internal", "Cannot copy: no body");
  const { head, body } = end;
  if (end.kind === "suspect" && !acceptsSuspects) {
    const code = end.damage === "hash" ? "origin_hash_wrong" : "image_not_processable";
    throw new HuiyuanError(code, `Cannot copy "${key}": its ${end.damage} is wrong; --accept-suspect copies it`);
  }
  const info = end.kind === "whole" ? end.info : describeFetched({ key, head, body, now: now(), isSuspect: true });
  return { body, info: migrated(info), release: () => head.spool.release() };
}

function migrated(info: ObjectInfo): ObjectInfo {
  return { ...info, provenance: { ...info.provenance, via: "migration", validated: undefined } };
}

function missingText(locator: string): string {
  if (locator.startsWith("/")) return `[Errno 2] No such file or directory: '${locator}'`;
  return "HTTP Error 404: Not Found";
}
