// Copies one object: fetches it into a spool, proves that it is a whole image, and puts it into the target.
import { abortable } from "../../../async/cancellation.ts";
import { refusedError } from "../../../client/api/client-error.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import type { SpoolPool } from "../../../serve/body/spool/spool-pool.ts";
import { Arrival, describeFetched } from "../../../serve/mirror/fill/arrival.ts";
import type { OriginAnswer, Validators } from "../../../serve/origin/origin.ts";
import type { Replacement } from "../contract.ts";
import type { Job, JobResult } from "../journal/journal.ts";
import type { Source } from "../source.ts";
import type { Target } from "../target.ts";

export interface CopyContext {
  readonly source: Source;
  readonly target: Target;
  readonly spools: SpoolPool;
  readonly maxBytes: number;
  /** True: an image whose structure or declared hash is wrong is copied too. */
  readonly acceptsSuspects: boolean;
  readonly overwrite: Exclude<Replacement, "migrated">;
  /** Unix milliseconds. */
  readonly now: () => number;
}

type Copied = Omit<Extract<JobResult, { readonly bytes: number }>, "job">;

const FILE_EXISTS = { code: -1886, message: "图片fileid已经存在" };

/** Throws what describeFailure() reads, and the signal's reason. */
export async function copyObject(job: Job, context: CopyContext, signal: AbortSignal): Promise<Copied> {
  const { source, target, overwrite } = context;
  const key = toKey(job.fileid);
  const replace = overwrite === "none" && job.isChanged ? "migrated" : overwrite;
  let unless: Validators | undefined;
  if (target.isNear) {
    const there = await target.look(key, signal);
    if (there.state === "deleted") return { outcome: "deleted", bytes: 0 };
    if (there.state === "object" && !job.isReopened) unless = there.validators;
  }
  const answer = await source.fetch({ object: job, unless, maxBytes: context.maxBytes, signal });
  if (answer === undefined) throw missing(job);
  if (answer.isNotModified) return { outcome: "same", bytes: 0 };
  const arrived = await receive(answer, key, context, signal);
  try {
    const { body, info } = arrived;
    const outcome = await target.put({ info, body, replace, signal });
    // In the text of the REST API, so that `error.ignore.if` matches it.
    if (outcome === "differs") throw refusedError({ ...FILE_EXISTS, httpStatus: 400, requestId: undefined });
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
function whole(end: ReturnType<Arrival["result"]>, key: Key, { acceptsSuspects, now }: CopyContext) {
  if (end.kind === "unstored") throw end.error;
  if (end.kind !== "whole" && end.kind !== "suspect") throw new HuiyuanError("internal", "Cannot copy: no body");
  const { kind, head, body } = end;
  if (kind === "suspect" && !acceptsSuspects) {
    const code = end.damage === "hash" ? "origin_hash_wrong" : "image_not_processable";
    throw new HuiyuanError(code, `Cannot copy "${key}": its ${end.damage} is wrong; --accept-suspect copies it`);
  }
  const fetched = describeFetched({ key, head, body, now: now(), isSuspect: kind === "suspect" });
  const provenance = { ...fetched.provenance, via: "migration", validated: undefined } as const;
  return { body, info: { ...fetched, provenance }, release: () => head.spool.release() };
}

function missing({ locator }: Job): HuiyuanError {
  const isFile = locator.startsWith("/");
  const text = isFile ? `[Errno 2] No such file or directory: '${locator}'` : "HTTP Error 404: Not Found";
  return new HuiyuanError("origin_status", text, { originStatus: 404 });
}
