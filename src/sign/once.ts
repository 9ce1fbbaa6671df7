// The ledger of one-time tokens: what was spent, so that nothing is spent twice. The row is written by the store's one
// writer thread (bucket/fs/) beside the catalogue; here are its table, its statements and the door to it.
// Whether a token is good at all is for token.ts to say.
import { MAX_LIFE_SECONDS, type OneTimeToken } from "./token.ts";

/** What the writer is asked to spend. Survives a structured clone. */
export type SpendRequest = OneTimeToken;

/** Spends one-time tokens. */
export interface OnceLedger {
  /**
   * True exactly once for a token, and only when that is durable; false ever after, and for a token issued more than 92
   * days before `now` (Unix seconds), since the ledger forgets those. Throws store_failed when it cannot be known.
   */
  spend(token: OneTimeToken, now: number): Promise<boolean>;
  /** Whether spend() would say no. It spends nothing. */
  isSpent(token: OneTimeToken, now: number): boolean;
}

/** The ledger's table. WITHOUT ROWID: the key is the row, and one B-tree is written instead of two. */
export const ONCE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS spent (
    secret_id TEXT NOT NULL,
    mac BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    PRIMARY KEY (secret_id, mac)
  ) WITHOUT ROWID;
`;

/** As much of a SQLite connection as the ledger needs; better-sqlite3's `Database` is one. */
export interface OnceDatabase {
  prepare(sql: string): {
    run(...values: (string | number | Uint8Array)[]): { readonly changes: number };
    get(...values: (string | number | Uint8Array)[]): unknown;
  };
}

const INSERT = "INSERT INTO spent (secret_id, mac, issued_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
const FIND = "SELECT 1 FROM spent WHERE secret_id = ? AND mac = ?";
const PRUNE = "DELETE FROM spent WHERE issued_at < ?";

/** A token is refused by age a day before its row may go: a spend under way, or a clock set back, must still find it. */
const KEPT_SECONDS = MAX_LIFE_SECONDS + 86_400;

/** Runs in the writer's transaction. True: this call spent it; to be reported only after the commit. */
export function spendOnce(database: OnceDatabase, request: SpendRequest): boolean {
  return database.prepare(INSERT).run(request.secretId, request.mac, request.issuedAt).changes === 1;
}

/** Whether the ledger has it. Any connection will do. */
export function isInLedger(database: OnceDatabase, { secretId, mac }: SpendRequest): boolean {
  return database.prepare(FIND).get(secretId, mac) !== undefined;
}

/** Forgets tokens that are refused by age anyway; `now` in Unix seconds. Returns how many. Reads the whole table: once a day is plenty. */
export function pruneSpent(database: OnceDatabase, now: number): number {
  return database.prepare(PRUNE).run(now - KEPT_SECONDS).changes;
}

/** The ledger over a writer. `submit` resolves after the commit with what `spendOnce` said there; `has` reads. */
export function createOnceLedger(
  submit: (request: SpendRequest) => Promise<boolean>,
  has: (request: SpendRequest) => boolean,
): OnceLedger {
  return {
    isSpent: (token, now) => isForgotten(token.issuedAt, now) || has(token),
    async spend({ secretId, mac, issuedAt }, now) {
      if (isForgotten(issuedAt, now)) return false;
      return submit({ secretId, mac, issuedAt });
    },
  };
}

/** A ledger that lasts as long as the process, for tests and trials. Unbounded. */
export function createMemoryOnceLedger(): OnceLedger {
  const spent = new Set<string>();
  const idOf = ({ secretId, mac }: OneTimeToken) => `${secretId}\0${Buffer.from(mac).toString("hex")}`;
  const isSpent = (token: OneTimeToken, now: number) => isForgotten(token.issuedAt, now) || spent.has(idOf(token));
  return {
    isSpent,
    async spend(token, now) {
      if (isSpent(token, now)) return false;
      spent.add(idOf(token));
      return true;
    },
  };
}

function isForgotten(issuedAt: number, now: number): boolean {
  return issuedAt < now - MAX_LIFE_SECONDS;
}
