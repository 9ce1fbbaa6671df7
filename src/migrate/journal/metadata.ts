// The counters of a journal and the state of its scan, which change in the transactions that change its rows.
import { firstValue, type Sqlite, transaction } from "../../core/sqlite.ts";
import { FAILED, SUCCESSFUL } from "./schema.ts";

/** The value of jobs.changed for an object that was copied before. */
export const CHANGED = 1;

const NAMES = [
  ...(["submitted", "successful", "failed", "stored", "same", "deleted", "bytes", "run"] as const),
  ...(["scan", "isScanning", "scanNew", "scanChanged", "scanKnown", "scanIgnored"] as const),
];

/**
 * `submitted`, `successful`, `failed`: rows in all. `stored`, `same`, `deleted`: outcomes of successful ones. `bytes`:
 * sent to the target. `run`, `scan`: numbers from 1. `isScanning`: 1 until the scan has ended. `scan…`: of the last
 * scan; `scanKnown`: names that had a row.
 */
export type Counters = Record<(typeof NAMES)[number], number>;

export interface Metadata {
  readonly counters: Counters;
  /** Runs the work and writes the counters in one transaction. If it fails, the counters are as before. */
  commit(work: () => void): void;
  identity(): Readonly<Record<string, string>> | undefined;
  setIdentity(identity: Readonly<Record<string, string>>): void;
  cursor(): string | undefined;
  setCursor(cursor: string | undefined): void;
}

export function createMetadata(database: Sqlite): Metadata {
  const read = database.prepare<[string], { readonly value: string | null }>(
    "SELECT value FROM metadata WHERE key = ?",
  );
  const write = database.prepare("INSERT OR REPLACE INTO metadata (key, value) VALUES (?, ?)");
  const counters = readCounters(database);
  return {
    counters,
    commit(work) {
      const before = { ...counters };
      try {
        transaction(database, () => {
          work();
          for (const name of NAMES) if (counters[name] !== before[name]) write.run(name, counters[name]);
        });
      } catch (error) {
        Object.assign(counters, before);
        throw error;
      }
    },
    identity() {
      const text = read.get("identity")?.value;
      return text == null ? undefined : (JSON.parse(text) as Record<string, string>);
    },
    setIdentity: (identity) => void write.run("identity", JSON.stringify(identity)),
    cursor: () => read.get("cursor")?.value ?? undefined,
    setCursor: (cursor) => void write.run("cursor", cursor ?? null),
  };
}

export function readCounters(database: Sqlite): Counters {
  const rows = database.prepareArrays<[], [name: string, value: string | number]>("SELECT key, value FROM metadata");
  const values = new Map(rows.all());
  return Object.fromEntries(NAMES.map((name) => [name, Number(values.get(name) ?? 0)])) as Counters;
}

/** Whether the counters agree with the rows. Reads all rows: about 0.2 s for 1,000,000. */
export function isConsistent(database: Sqlite): boolean {
  const { submitted, successful, failed } = readCounters(database);
  const count = (where: string) => Number(firstValue(database, `SELECT count(*) FROM jobs ${where}`));
  return (
    submitted === count("") &&
    failed === count(`WHERE status = ${FAILED}`) &&
    successful === count(`WHERE status = ${SUCCESSFUL}`)
  );
}
