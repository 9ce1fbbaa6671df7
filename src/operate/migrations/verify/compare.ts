// Compares one object of the source with the target's: by its size, or by the hash of all its bytes.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Job } from "../journal/journal.ts";
import type { FindingKind } from "../journal/verification.ts";
import type { Source } from "../source.ts";
import { type Digest, type Hashed, hashBody } from "../sources/body-stream.ts";
import type { Target, TargetState } from "../target.ts";

/** `absentOnBoth`: neither source nor target has it. */
export type Outcome = FindingKind | "equal" | "absentOnBoth";

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
  readonly target: Pick<Target, "look" | "readSha256" | "isNear">;
  readonly maxBytes: number;
}

/** An object that has another size than the listing says is hashed too. Throws what describeFailure() reads. */
export async function compareObject(
  job: Job,
  isHashed: boolean,
  { source, target, maxBytes }: CompareContext,
  signal: AbortSignal,
): Promise<Compared> {
  const there = await target.look(job.fileid, signal);
  if (!job.isListed) return found(there.state === "object" ? "gone" : "absentOnBoth");
  if (there.state === "deleted") return found("deleted");
  // The cause of the failed copy says more than "missing", and the next start retries it.
  if (there.state !== "object") return job.hasFailed ? found("failed", job.log) : found("missing");
  if (!isHashed && (job.size === undefined || job.size === there.size)) return found("equal");
  if (target.readSha256 === undefined && (there.sha256 ?? there.md5) === undefined)
    return found("unread", "the target reports no digest");
  const answer = await source.fetch({ object: job, maxBytes, signal });
  if (answer === undefined || answer.isNotModified) return found("gone");
  const here = await hashBody(answer.body, ["sha256", "md5"], signal);
  const reason = await differenceOf(here, there, () => digestAt(target, there, job.fileid, signal));
  if (reason !== "" && job.hasFailed) return found("failed", job.log, here);
  return found(reason === "" ? "equal" : "differs", reason, here);
}

export function found(outcome: Outcome, reason = "", here?: Hashed): Compared {
  return { outcome, reason, bytes: here?.size ?? 0, sha256: here?.hashes.sha256 };
}

type Present = Extract<TargetState, { readonly state: "object" }>;
type DigestAt = { readonly name: Digest; readonly value: string | undefined };

/** Empty: the bytes are equal. */
async function differenceOf({ size, hashes }: Hashed, there: Present, read: () => Promise<DigestAt>): Promise<string> {
  if (size !== there.size) return `${size} bytes at the source, ${there.size} at the target`;
  try {
    const { name, value } = await read();
    if (value === undefined) return "the target has just lost it";
    return value === hashes[name] ? "" : `${name} ${hashes[name]} at the source, ${value} at the target`;
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "store_corrupt") return "its bytes at the target are damaged";
    throw error;
  }
}

/** The digest that the target reports. If its bytes can be read, they are the better proof. */
async function digestAt(
  target: Pick<Target, "readSha256">,
  { sha256, md5 }: Present,
  fileid: string,
  signal: AbortSignal,
): Promise<DigestAt> {
  if (target.readSha256 !== undefined) return { name: "sha256", value: await target.readSha256(fileid, signal) };
  return sha256 === undefined ? { name: "md5", value: md5 } : { name: "sha256", value: sha256 };
}
