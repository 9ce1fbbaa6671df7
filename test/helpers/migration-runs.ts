// Runs `huiyuan migrate start` as its own process, kills it at random moments, and checks the result without any code
// of the program: the journal's rows, and every object's bytes in the store.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openSqlite } from "../../src/core/sqlite.ts";
import { eventually, PROGRAM } from "./program.ts";

export interface MigrationJob {
  /** Arguments behind `huiyuan migrate start`. */
  readonly args: readonly string[];
  /** The folder that `args` name with --job. */
  readonly dir: string;
  /** Flags for node itself, such as --cpu-prof. */
  readonly nodeFlags?: readonly string[];
}

/** One line that `--json` prints at the end. */
export interface MigrationReport {
  readonly submitted: number;
  readonly successful: number;
  readonly failed: number;
  readonly stored: number;
  readonly same: number;
}

export interface MigrationRun {
  readonly code: number | null;
  /** Undefined if the run was killed. */
  readonly report: MigrationReport | undefined;
  readonly output: string;
  /** From the start of the process to its end. */
  readonly seconds: number;
  /** VmHWM of the process, read every 50 ms. */
  readonly peakBytes: number;
}

/** Called with the process once it has started. */
type Watch = (child: ChildProcess) => Promise<void>;

/** Runs to the end, unless `watch` kills it. */
export async function runMigration(job: MigrationJob, watch?: Watch): Promise<MigrationRun> {
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [...(job.nodeFlags ?? []), PROGRAM, "migrate", "start", "--json", ...job.args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let [output, peakBytes] = ["", 0];
  const listen = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakOf(child.pid ?? 0));
  }, 50);
  const closed = once(child, "close");
  await watch?.(child);
  await closed;
  clearInterval(timer);
  process.off("exit", kill);
  const last = output.trim().split("\n").at(-1) ?? "";
  const report = last.includes('"event":"report"') ? (JSON.parse(last) as MigrationReport) : undefined;
  return { code: child.exitCode, report, output, seconds: (performance.now() - began) / 1_000, peakBytes };
}

function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return 1_024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0; // the process has ended
  }
}

export interface KillOptions {
  /** Objects of the source, about. */
  readonly total: number;
  readonly kills: number;
  /** A number from 0 up to 1, the same ones for the same seed. */
  readonly dice: () => number;
  /** Called after each kill, once the process has ended, with the names that the journal has as successful. */
  readonly onKill?: (successful: ReadonlySet<string>) => Promise<void>;
}

/**
 * Starts again and again, and kills each run at a random moment: one in four soon after its start, the others after a
 * random number of objects. The last run ends by itself. Throws if a run ends before it is killed.
 */
export async function runKilled(job: MigrationJob, { total, kills, dice, onKill }: KillOptions): Promise<MigrationRun> {
  for (let kill = 0; kill < kills; kill += 1) {
    const isEarly = dice() < 0.25;
    const earlyMs = 200 + dice() * 800;
    const goal = doneIn(job.dir) + 1 + Math.floor((dice() * total) / (kills + 2));
    const lateMs = dice() * 30;
    const { code, output } = await runMigration(job, async (child) => {
      const isOver = () => child.exitCode !== null || child.signalCode !== null;
      if (isEarly) await delay(earlyMs);
      else await eventually(() => isOver() || doneIn(job.dir) >= goal, `${goal} objects are copied`, 120_000);
      if (!isEarly) await delay(lateMs);
      child.kill("SIGKILL");
    });
    if (code !== null) throw new Error(`Cannot kill the run: it ended with ${code} before\n${output}`);
    await onKill?.(namesWith(job.dir, "status = 1"));
  }
  return runMigration(job);
}

/** Jobs that are successful or failed. 0: no journal is there yet. */
export function doneIn(dir: string): number {
  const { successful, failed } = countersIn(dir);
  return successful + failed;
}

/** `same`: objects that were found equal at the target, so copied before. */
export function countersIn(dir: string) {
  const [row] = journalRows<{ json: string }>(dir, "SELECT json FROM state");
  const none = { submitted: 0, successful: 0, failed: 0, same: 0 };
  return row === undefined ? none : (JSON.parse(row.json) as { readonly counters: typeof none }).counters;
}

function namesWith(dir: string, where: string): ReadonlySet<string> {
  const rows = journalRows<{ fileid: string }>(dir, `SELECT fileid FROM jobs WHERE ${where}`);
  return new Set(rows.map(({ fileid }) => fileid));
}

/** Empty if there is no journal, or its run was killed before it had made the tables. */
function journalRows<Row>(dir: string, sql: string): readonly Row[] {
  const path = join(dir, "jobs.db");
  if (!existsSync(path)) return [];
  const database = openSqlite(path);
  try {
    return database.prepare<[], Row>(sql).all();
  } catch (error) {
    if (String(error).includes("no such table")) return [];
    throw error;
  } finally {
    database.close();
  }
}

export interface Repeated {
  /** Requests beyond the first for a name. */
  readonly twice: number;
  /** Requests for a name that a journal had as successful when its run was killed. Must be 0. */
  readonly afterSuccess: number;
}

/** `kills`: what the journal had at each kill, with the number of requests until then. */
export function repeatedIn(
  fetched: readonly string[],
  kills: readonly { readonly successful: ReadonlySet<string>; readonly requests: number }[],
): Repeated {
  const again = (from: number, names: ReadonlySet<string>) => fetched.slice(from).filter((name) => names.has(name));
  const afterSuccess = kills.flatMap(({ requests, successful }) => again(requests, successful)).length;
  return { twice: fetched.length - new Set(fetched).size, afterSuccess };
}

export interface Expected {
  /** The data folder of the target, whose program has ended. */
  readonly data: string;
  /** `<appid>/<name>` */
  readonly bucketId: string;
  /** The job's folder. */
  readonly dir: string;
  /** Every object of the source that can be copied: its name, and its bytes as they are now. */
  readonly objects: Iterable<readonly [fileid: string, bytes: Uint8Array]>;
  /** The names that must have failed, with what the journal says. */
  readonly failures?: ReadonlyMap<string, RegExp>;
}

/**
 * Compares each object of the source with its bytes at the target, by key and SHA-256, and the journal's counters with
 * its rows. Throws at the first difference. Returns the number of equal objects.
 */
export function checkMigrated({ data, bucketId, dir, objects, failures = new Map() }: Expected): number {
  const target = openTarget(data, bucketId);
  let equal = 0;
  try {
    for (const [fileid, bytes] of objects) {
      const found = target.sha256(fileid);
      if (found !== sha256(bytes))
        throw new Error(`${JSON.stringify(fileid)} has ${found ?? "no bytes"} at the target`);
      equal += 1;
    }
    must("objects at the target", target.objects(), equal);
  } finally {
    target.close();
  }
  const { submitted, successful, failed } = countersIn(dir);
  must("submitted jobs", submitted, equal + failures.size);
  must("successful jobs", successful, equal);
  must("failed jobs", failed, failures.size);
  const [rows] = journalRows<{ rows: number; names: number; good: number }>(
    dir,
    "SELECT count(*) AS rows, count(DISTINCT fileid) AS names, count(*) FILTER (WHERE status = 1) AS good FROM jobs",
  );
  must("rows of the journal", rows?.rows, submitted);
  must("names in the journal", rows?.names, submitted);
  must("rows that are successful", rows?.good, successful);
  const failedRows = journalRows<{ fileid: string; log: string }>(dir, "SELECT fileid, log FROM jobs WHERE status = 2");
  const wrong = failedRows.filter(({ fileid, log }) => failures.get(fileid)?.test(log) !== true);
  if (wrong.length > 0) throw new Error(`Wrong failures, such as: ${JSON.stringify(wrong.slice(0, 10))}`);
  return equal;
}

function must(what: string, found: number | undefined, wanted: number): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, but must be ${wanted}`);
}

/** Reads the catalogue and the files of a data folder. */
function openTarget(data: string, bucketId: string) {
  const database = openSqlite(join(data, "catalogue.db"), { readonly: true });
  const find = database.prepare<
    [string, string],
    { sha256: string; size: number; pack: number | null; at: number | null }
  >(
    `SELECT sha256, size, pack, pack_at AS at FROM buckets JOIN entries ON entries.bucket = buckets.id
     JOIN blobs ON blobs.id = entries.blob WHERE name = ? AND key = ? AND state = 'object'`,
  );
  const files = new Map<number, number>();
  const packFile = (pack: number) => {
    const open = files.get(pack) ?? openSync(join(data, "packs", String(pack)), "r");
    files.set(pack, open);
    return open;
  };
  return {
    /** Hashes the bytes on the disk; undefined if the key has no object. */
    sha256(key: string): string | undefined {
      const blob = find.get(bucketId, key);
      if (blob === undefined) return undefined;
      if (blob.pack === null || blob.at === null)
        return sha256(readFileSync(join(data, "blobs", blob.sha256.slice(0, 2), blob.sha256.slice(2, 4), blob.sha256)));
      const bytes = Buffer.alloc(blob.size);
      return sha256(bytes.subarray(0, readSync(packFile(blob.pack), bytes, 0, blob.size, blob.at)));
    },
    objects(): number {
      const sql = `SELECT count(*) AS count FROM entries JOIN buckets ON buckets.id = entries.bucket
        WHERE name = ? AND state = 'object'`;
      return database.prepare<[string], { count: number }>(sql).get(bucketId)?.count ?? 0;
    },
    close() {
      for (const file of files.values()) closeSync(file);
      database.close();
    },
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
