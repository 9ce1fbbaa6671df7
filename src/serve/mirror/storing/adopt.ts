// At the start, hands the whole images that an earlier run left unstored to the write-back: finished spool files with a
// recovery file beside them (recovery-file.ts). Their bytes are hashed again first. Every other spool file is removed.
import { rmSync } from "node:fs";
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { validatedAt } from "../../../core/object.ts";
import { hashFile } from "../../body/spool/hashing.ts";
import { SPOOL_SUFFIX, type WholeBody } from "../../body/spool/spool.ts";
import type { Stored } from "../stored/stored.ts";
import { RECOVERY_SUFFIX, type RecoveryRecord, readRecoveryFile } from "./recovery-file.ts";
import type { WriteBack, WriteBackTask } from "./write-back.ts";

interface Found {
  readonly path: string;
  readonly record: RecoveryRecord;
  readonly stored: Stored;
}

/**
 * Call it before the first fill. Throws if the folder cannot be read. `storedOf`: the buckets of the settings; a body
 * for any other bucket is removed. Returns the number of images that are pending now, and of removed files.
 */
export async function adoptSpoolFiles({
  dir,
  storedOf,
  writeBack,
}: {
  readonly dir: string;
  readonly storedOf: (bucketId: string) => Stored | undefined;
  readonly writeBack: Pick<WriteBack, "store">;
}) {
  const names = (await readdir(dir)).filter((name) => name.endsWith(SPOOL_SUFFIX) || name.endsWith(RECOVERY_SUFFIX));
  const found: Found[] = [];
  for (const name of names) {
    const path = join(dir, name);
    const record = names.includes(name + RECOVERY_SUFFIX) ? await readRecoveryFile(path + RECOVERY_SUFFIX) : undefined;
    const stored = record && storedOf(record.bucketId);
    if (record !== undefined && stored !== undefined) found.push({ path, record, stored });
  }
  const adopted = new Set(found.flatMap(({ path }) => [path, path + RECOVERY_SUFFIX]));
  const others = names.map((name) => join(dir, name)).filter((path) => !adopted.has(path));
  for (const path of others) await unlink(path);
  // The image that was requested last wins, if a key has several.
  found.sort((one, other) => validatedAt(one.record.info) - validatedAt(other.record.info));
  let hashing: Promise<unknown> = Promise.resolve();
  /** One file at a time. Undefined: it has other bytes than its record says. */
  const prove = ({ path, record: { info } }: Found) => {
    const hashed = hashing.then(() => hashFile(path));
    hashing = hashed.catch(() => undefined);
    const isSame = ({ size, hashes }: WholeBody) => size === info.size && hashes.sha256 === info.hashes.sha256;
    return hashed.then((body) => (isSame(body) ? body : undefined));
  };
  const storing = found.map((each) => writeBack.store(taskOf(each, () => prove(each))));
  return {
    adopted: found.length,
    removed: others.length,
    /** Resolves once each image is stored or given up. */
    done: Promise.all(storing),
  };
}

/** Before the bytes are hashed again. */
const NO_SUMS = Buffer.alloc(0);

function taskOf({ path, record, stored }: Found, prove: WriteBackTask["prove"]): WriteBackTask {
  const { info, epoch, replaces } = record;
  const { size, hashes } = info;
  const body: WholeBody = { size, hashes, blockSums: NO_SUMS, content: { kind: "file", path } };
  const spool = { release: () => rmSync(path, { force: true }) };
  return { stored, info, epoch, replaces, body, spool, prove, recoveryPath: path + RECOVERY_SUFFIX };
}
