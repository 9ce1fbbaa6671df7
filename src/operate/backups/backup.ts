// Makes one generation of a backup, whether a server runs or not: copies the databases first, then puts the files that
// they name beside them, verifies the new ones and publishes the whole in one step. A kill leaves the earlier ones.
import { accessSync, constants, existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorCodeOf, storeFailure } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { syncDirectory, syncFile } from "../../core/files.ts";
import { readVersion } from "../../core/version.ts";
import { blobPath } from "../../serve/bucket/fs/blob-places.ts";
import { type Inventory, openInventory } from "../../serve/bucket/fs/catalogue/inventory.ts";
import { BACKUP_LOCK, SWEEP_LOCK, tryLock } from "../../serve/bucket/fs/lock.ts";
import { copyDatabase } from "../../sqlite/open-database.ts";
import {
  beginGeneration,
  FORMAT,
  type Generation,
  generationNames,
  MANIFEST,
  type Manifest,
  newName,
  prepareBackups,
  prune,
  publish,
  readGeneration,
  refusal,
  SETTINGS,
} from "./generations.ts";
import { noteBackup } from "./last-backups.ts";
import { isSameFile, type OnProgress, type PlacingOptions, placeFiles, unlessMissing } from "./placing.ts";
import { type Damage, verifyBlobs } from "./verify.ts";

/** `signal`: ends the backup early; the call then throws. */
export interface BackupOptions extends Pick<PlacingOptions, "data" | "copies" | "signal"> {
  /** The folder of the backup. */
  readonly dir: string;
  readonly settingsFile: string;
  /** Number of generations that stay, this one included. */
  readonly keep: number;
  readonly onProgress: OnProgress;
}

export interface BackupReport extends Damage {
  /** Path of the new generation. */
  readonly path: string;
  readonly objects: number;
  /** Bytes of all images, of those that were copied now, and of the databases. */
  readonly bytes: number;
  readonly writtenBytes: number;
  readonly databaseBytes: number;
  readonly generations: number;
}

const CATALOGUE = "catalogue.db";
const SERVER_ID = "server-id";
/** Uploads in slices that are not complete: their slices were acknowledged. */
const SLICES = "slices";
const LOCK_POLL_MS = 100;
const LOCK_PATIENCE_MS = 600_000;

/** Throws request_invalid, data_locked if another backup runs, store_failed, store_full. */
export async function makeBackup(options: BackupOptions): Promise<BackupReport> {
  const { data, dir, signal } = options;
  await refuseWrongUser(options);
  const unlock = lockBackup(data);
  const running = `Cannot back up "${data}": another backup of it is running; wait for its end`;
  if (unlock === undefined) throw new HuiyuanError("data_locked", running);
  try {
    await noteBackup(data, "started");
    const report = await writeGeneration(options);
    await noteBackup(data, report.damaged === 0 ? "succeeded" : "damaged");
    return report;
  } catch (error) {
    await noteBackup(data, "failed").catch(() => undefined); // The disk fails. The error below says so.
    signal.throwIfAborted();
    throw storeFailure(error, `back up "${data}" to "${dir}"`);
  } finally {
    unlock();
  }
}

/** Root would leave files that the server cannot open. Throws request_invalid, also if there is no such file. */
async function refuseWrongUser({ data, settingsFile }: BackupOptions): Promise<void> {
  const catalogue = join(data, CATALOGUE);
  const found = await stat(catalogue).catch((cause: unknown) => {
    if (errorCodeOf(cause) !== "ENOENT") throw unusable(data, cause);
    const found = existsSync(data)
      ? `it has no ${CATALOGUE}: no server has used it yet, or it is another folder`
      : "there is no such folder";
    throw refusal(`Cannot back up "${data}": ${found}; see \`data\` in "${settingsFile}"`, cause);
  });
  if (process.getuid?.() !== 0 || found.uid === 0) return;
  const next = `run the command as the server's user (uid ${found.uid})`;
  throw refusal(`Cannot back up "${catalogue}" as root: ${next}`);
}

function unusable(data: string, cause: unknown): HuiyuanError {
  const found = `${errorCodeOf(cause)}; it must be a folder that this user may write to`;
  return new HuiyuanError("request_invalid", `Cannot back up "${data}": ${found}`, { cause });
}

/** Throws request_invalid if this user cannot use the data folder. */
function lockBackup(data: string): (() => void) | undefined {
  try {
    // SQLite would open and lock even a read-only file.
    accessSync(data, constants.W_OK);
    return tryLock(join(data, BACKUP_LOCK));
  } catch (error) {
    throw unusable(data, error);
  }
}

async function writeGeneration(options: BackupOptions): Promise<BackupReport> {
  const { data, dir, settingsFile, keep } = options;
  await prepareBackups(dir, data);
  const newest = (await generationNames(dir)).at(-1);
  const name = newName(newest, new Date());
  const previous = newest === undefined ? undefined : await readGeneration(dir, newest);
  const server = (await unlessMissing(readFile(join(data, SERVER_ID), "utf8"))) ?? "";
  refuseOtherServer(server, previous);
  const target = await beginGeneration(dir);
  await copySynced(settingsFile, join(target, SETTINGS));
  await chmod(join(target, SETTINGS), 0o600);
  await copySynced(join(data, SERVER_ID), join(target, SERVER_ID));
  // Before the catalogue: an upload that ends in between is in both, and one that was begun before is in one of them.
  await copySlices(join(data, SLICES), join(target, SLICES));

  const { inventory, databaseBytes, placed } = await placeAll(options, target, previous);
  try {
    const totals = inventory.totals();
    const { damage, packs: damagedPacks } = await verifyNew(options, { target, previous, inventory, placed });
    const packs = inventory.packs().filter(({ pack }) => !damagedPacks.has(pack));
    const manifest: Manifest = {
      format: FORMAT,
      program: readVersion(),
      server,
      // The last blob may be gone, but earlier generations share the file and still have its bytes.
      packs: Object.fromEntries(packs.map(({ pack, end }) => [pack, Math.max(end, placed.verifiedUntil(pack))])),
    };
    await writeFile(join(target, MANIFEST), JSON.stringify(manifest));
    await syncFile(join(target, MANIFEST));
    for (const folder of placed.folders) syncDirectory(folder);
    await publish(dir, name);
    return {
      ...{ path: join(dir, name), ...totals, writtenBytes: placed.writtenBytes, databaseBytes, ...damage },
      generations: await prune(dir, keep),
    };
  } finally {
    inventory.close();
  }
}

/** A backup of another server would take the place of this one's generations. */
function refuseOtherServer(server: string, previous: Generation | undefined): void {
  const known = previous?.manifest.server ?? "";
  if (previous === undefined || server === "" || known === "" || known === server) return;
  throw refusal(`Cannot back up to "${previous.path}/..": it is of another server; name a folder for each server`);
}

type Filled = Awaited<ReturnType<typeof placeAll>>;

/** While this runs, no sweep of the server removes a file that a row of the copied catalogue names. */
async function placeAll(options: BackupOptions, target: string, previous: Generation | undefined) {
  const { data, copies, signal, onProgress } = options;
  const unlock = await lockSweep(data, signal);
  let inventory: Inventory | undefined;
  try {
    // The catalogue first: callback notices are written before the object and removed later.
    const others = (await readdir(data)).filter((name) => name.endsWith(".db") && name !== CATALOGUE);
    let databaseBytes = 0;
    for (const name of [CATALOGUE, ...others]) databaseBytes += await copySyncedDatabase(data, target, name);
    inventory = openInventory(join(target, CATALOGUE), previous && join(previous.path, CATALOGUE));
    refuseOtherVersion(inventory);
    inventory.check();
    const onBytes = onProgress("placing", inventory.totals().bytes);
    const placed = await placeFiles({ data, target, previous, copies, inventory, signal, onBytes });
    return { inventory, databaseBytes, placed };
  } catch (error) {
    inventory?.close();
    throw error;
  } finally {
    unlock();
  }
}

async function lockSweep(data: string, signal: AbortSignal): Promise<() => void> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const unlock = tryLock(join(data, SWEEP_LOCK));
    if (unlock !== undefined) return unlock;
    if (performance.now() > deadline)
      throw new HuiyuanError("store_failed", `Cannot back up "${data}": the server has been removing files for 10 min`);
    await delay(LOCK_POLL_MS, undefined, { signal });
  }
}

function refuseOtherVersion({ version, ownVersion }: Inventory): void {
  if (version === ownVersion) return;
  const found = `its catalogue has version ${version}, this huiyuan knows ${ownVersion}`;
  throw refusal(`Cannot back up the data folder: ${found}; use the server's own huiyuan`);
}

/** Returns the size of the copy. */
async function copySyncedDatabase(data: string, target: string, name: string): Promise<number> {
  const to = join(target, name);
  copyDatabase(join(data, name), to);
  await syncFile(to);
  return (await stat(to)).size;
}

async function verifyNew(
  { signal, onProgress }: BackupOptions,
  parts: Pick<Filled, "inventory" | "placed"> & { readonly target: string; readonly previous: Generation | undefined },
): ReturnType<typeof verifyBlobs> {
  const { target, previous, inventory, placed } = parts;
  return verifyBlobs({
    folder: target,
    inventory,
    verifiedUntil: placed.verifiedUntil,
    // The previous generation has no file for a blob that it found damaged.
    isVerified: async (sha256) =>
      previous !== undefined && isSameFile(blobPath(target, sha256), blobPath(previous.path, sha256)),
    onDamagedFile: (path) => rm(path, { force: true }),
    signal,
    onBytes: onProgress("verifying", inventory.totals().bytes),
  });
}

/** Does nothing if the file does not exist. */
async function copySynced(from: string, to: string): Promise<void> {
  if (await unlessMissing(copyFile(from, to).then(() => true))) await syncFile(to);
}

/** A slice that is acknowledged stays in its file until its image is stored. */
async function copySlices(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of (await unlessMissing(readdir(from))) ?? [])
    if (/\.(json|part)$/.test(name)) await copySynced(join(from, name), join(to, name));
  syncDirectory(to);
}
