// The ledger of one-time tokens: it records spent tokens, so that none is spent twice. This file has its table,
// statements and interface; the store's writer thread (bucket/fs/) writes the rows. It does not verify tokens: token.ts
// does.
import type { Sqlite } from "../../core/sqlite.ts";
import { MAX_LIFE_SECONDS, type OneTimeToken } from "./token.ts";

export type { OneTimeToken };

/** Spends one-time tokens. */
export interface OnceLedger {
  /**
   * True exactly once for a token, and only after that is durable; false ever after. Also false for a token that was
   * issued more than 92 days before `now` (Unix seconds), because the ledger forgets those. Throws store_failed if it
   * cannot find out.
   */
  spend(token: OneTimeToken, now: number): Promise<boolean>;
  /** Whether spend() would return false. Spends nothing. */
  isSpent(token: OneTimeToken, now: number): boolean;
}

/** The ledger's table. WITHOUT ROWID: the key is the whole row, so one B-tree is written instead of two. */
export const ONCE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS spent (
    secret_id TEXT NOT NULL,
    mac BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    PRIMARY KEY (secret_id, mac)
  ) WITHOUT ROWID;
`;

const INSERT = "INSERT INTO spent (secret_id, mac, issued_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
const FIND = "SELECT 1 FROM spent WHERE secret_id = ? AND mac = ?";

/** Rows stay a day longer than tokens are accepted: a running spend, or a clock that was set back, must find them. */
const KEPT_SECONDS = MAX_LIFE_SECONDS + 86_400;
// Compared with the newest token too: a clock that is wrong for a while removes nothing.
const PRUNE = `DELETE FROM spent WHERE issued_at < min(?, (SELECT max(issued_at) FROM spent) - ${KEPT_SECONDS})`;

/** Runs in the writer's transaction. True: this call spent the token; to be reported only after the commit. */
export function spendOnce(database: Sqlite, request: OneTimeToken): boolean {
  return database.prepare(INSERT).run(request.secretId, request.mac, request.issuedAt).changes === 1;
}

/** Whether the ledger has the token. Works on any connection. */
export function isInLedger(database: Sqlite, { secretId, mac }: OneTimeToken): boolean {
  return database.prepare(FIND).get(secretId, mac) !== undefined;
}

/**
 * Removes tokens that are refused by age anyway. `now`: Unix seconds. Returns their number. Reads the whole table, so
 * once a day is enough.
 */
export function pruneSpent(database: Sqlite, now: number): number {
  return database.prepare(PRUNE).run(now - KEPT_SECONDS).changes;
}

/** The ledger over a writer. `submit` resolves after the commit with the result of `spendOnce`; `has` reads. */
export function createOnceLedger(
  submit: (request: OneTimeToken) => Promise<boolean>,
  has: (request: OneTimeToken) => boolean,
): OnceLedger {
  return {
    isSpent: (token, now) => isForgotten(token.issuedAt, now) || has(token),
    async spend({ secretId, mac, issuedAt }, now) {
      if (isForgotten(issuedAt, now)) return false;
      return submit({ secretId, mac, issuedAt });
    },
  };
}

function isForgotten(issuedAt: number, now: number): boolean {
  return issuedAt < now - MAX_LIFE_SECONDS;
}
