// The recovery file beside a spool file: the record of a whole body that is not stored yet. After a crash adopt.ts
// stores the body by its record. A body in memory has none, since it dies with the process.
import { access, readFile, rm, stat, writeFile } from "node:fs/promises";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { Stored } from "../stored/stored.ts";
import type { Fetched } from "../stored/stored-changes.ts";

export const RECOVERY_SUFFIX = ".json";
const MAX_RECOVERY_BYTES = 65_536;

export interface RecoveryRecord extends Fetched {
  readonly bucketId: string;
}

interface Recoverable extends Fetched {
  readonly stored: Pick<Stored, "bucketId">;
  readonly body: WholeBody;
}

/** Writes the recovery file of a body on disk and returns its path; undefined for a body in memory. */
export async function writeRecoveryFile(task: Recoverable, log: Log): Promise<string | undefined> {
  if (task.body.content.kind !== "file") return undefined;
  const path = task.body.content.path + RECOVERY_SUFFIX;
  const { epoch, replaces, info } = task;
  const record: RecoveryRecord = { bucketId: task.stored.bucketId, epoch, replaces, info };
  try {
    await writeFile(path, JSON.stringify(record), { flag: "wx", mode: 0o600 });
    return path;
  } catch (error) {
    // Without the file a crash costs one more fetch, nothing else.
    const found = error instanceof Error ? error.message : String(error);
    const err = new HuiyuanError("store_failed", `Cannot write "${path}": ${found}`, { cause: error });
    log.warn({ err }, "cannot write the recovery file of a spool file");
    // The write may have left an empty file: a full disk still accepts one.
    await removeRecoveryFile(path);
    return undefined;
  }
}

export async function removeRecoveryFile(path: string | undefined): Promise<void> {
  // A recovery file without its body is removed at the next start.
  if (path !== undefined) await rm(path, { force: true }).catch(() => undefined);
}

/** Undefined: the record is incomplete after a crash, so the image is fetched again. */
export async function readRecoveryFile(path: string): Promise<RecoveryRecord | undefined> {
  try {
    if ((await stat(path)).size > MAX_RECOVERY_BYTES) return undefined;
    // This program wrote the file into its own folder; adopt.ts checks the hash of the body against it.
    const record = JSON.parse(await readFile(path, "utf8")) as Partial<RecoveryRecord> | null;
    return typeof record?.info?.key === "string" ? (record as RecoveryRecord) : undefined;
  } catch {
    return undefined; // Unreadable, or not JSON: as above.
  }
}

/** False: the store has removed the file, because the disk had refused its bytes; they must be fetched again. */
export async function isStillThere({ content }: WholeBody): Promise<boolean> {
  if (content.kind === "buffer") return true;
  return access(content.path).then(
    () => true,
    () => false,
  );
}
