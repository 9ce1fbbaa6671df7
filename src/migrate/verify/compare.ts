// Compares one object of the source with the target's: by its size, or by the hash of all its bytes.
import { createHash } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import type { KnownJob } from "../journal/journal.ts";
import type { Source } from "../source.ts";
import { type Digest, type Hashed, hashBody } from "../sources/body-stream.ts";
import type { Target, TargetState } from "../target.ts";

/**
 * `differs`: both have it, with other bytes. `missing`: the target lacks it. `gone`: the source does not have it any
 * more. `deleted`: a tombstone at the target, which a migration respects. `nowhere`: neither has it.
 */
export type Outcome = "equal" | "differs" | "missing" | "gone" | "deleted" | "nowhere";

export interface Compared {
  readonly outcome: Outcome;
  /** Printable; empty if there is nothing to say. */
  readonly reason: string;
  /** Bytes that the source has sent. */
  readonly bytes: number;
  /** Lower-case hex, of the source's bytes. Undefined: only sizes were compared. */
  readonly sha256: string | undefined;
}

export interface CompareContext {
  readonly source: Pick<Source, "fetch">;
  readonly target: Pick<Target, "look" | "read" | "isNear">;
  readonly maxBytes: number;
}

/** An object that has another size than the listing says is hashed too. Throws what describeFailure() reads. */
export async function compareObject(
  job: KnownJob & { readonly locator: string },
  isHashed: boolean,
  context: CompareContext,
  signal: AbortSignal,
): Promise<Compared> {
  const { source, target, maxBytes } = context;
  const there = await target.look(job.fileid, signal);
  if (!job.isListed) return found(there.state === "object" ? "gone" : "nowhere");
  if (there.state !== "object") return found(there.state === "deleted" ? "deleted" : "missing");
  if (!isHashed && (job.size === undefined || job.size === there.size)) return found("equal");
  const answer = await source.fetch({ object: job, maxBytes, signal });
  if (answer === undefined || answer.isNotModified) return found("gone");
  const name = digestOf(target, there);
  const here = await hashBody(answer.body, name === "md5" ? ["sha256", name] : ["sha256"], signal);
  const reason = await differenceOf(here, there, name, async (take) => target.read?.(job.fileid, take, signal));
  return found(reason === "" ? "equal" : "differs", reason, here);
}

function found(outcome: Outcome, reason = "", here?: Hashed): Compared {
  return { outcome, reason, bytes: here?.size ?? 0, sha256: here?.hashes.sha256 };
}

type Present = Extract<TargetState, { readonly state: "object" }>;

/** The digest that the target tells. Undefined: its bytes are read; those of a near one always, as a better proof. */
function digestOf({ isNear, read }: Pick<Target, "isNear" | "read">, { sha256, md5 }: Present): Digest | undefined {
  if (isNear && read !== undefined) return undefined;
  return sha256 !== undefined ? "sha256" : md5 !== undefined ? "md5" : undefined;
}

/** Empty: the bytes are equal. */
async function differenceOf(
  here: Hashed,
  there: Present,
  name: Digest | undefined,
  read: (take: (chunk: Uint8Array) => void) => Promise<boolean | undefined>,
): Promise<string> {
  if (here.size !== there.size) return `${here.size} bytes at the source, ${there.size} at the target`;
  if (name !== undefined) return different(name, here.hashes[name], there[name]);
  const hash = createHash("sha256");
  try {
    const isThere = await read((chunk) => hash.update(chunk));
    return isThere ? different("sha256", here.hashes.sha256, hash.digest("hex")) : "the target has just lost it";
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return "its bytes at the target are damaged";
    throw error;
  }
}

function different(name: Digest, here?: string, there?: string): string {
  return here === there ? "" : `${name} ${here} at the source, ${there} at the target`;
}
