import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSqlite, type Sqlite, transaction } from "../../../../src/core/sqlite.ts";
import {
  createOnceLedger,
  isInLedger,
  ONCE_SCHEMA,
  type OnceLedger,
  pruneSpent,
  spendOnce,
} from "../../../../src/serve/sign/once.ts";
import { MAX_LIFE_SECONDS, type OneTimeToken } from "../../../../src/serve/sign/token.ts";
import { DOWNLOAD, KEYS, NOW, sampleToken, verifyToken } from "../../../helpers/tokens.ts";

const DAY = 86_400;

let folder: string;
let database: Sqlite;

function openDatabase(): Sqlite {
  const opened = openSqlite(join(folder, "ledger.sqlite"));
  opened.exec(ONCE_SCHEMA);
  return opened;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "huiyuan-once-"));
  database = openDatabase();
});

afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

/** The ledger as the writer thread runs it: cloned requests, several per transaction, results after the commit. */
function databaseLedger(): OnceLedger {
  let waiting: { request: OneTimeToken; settle: (isFirst: boolean) => void }[] = [];
  const commit = () => {
    const group = waiting;
    waiting = [];
    const answers = transaction(database, () => group.map(({ request }) => spendOnce(database, request)));
    group.forEach(({ settle }, index) => {
      settle(answers[index] === true);
    });
  };
  return createOnceLedger(
    (request) =>
      new Promise((settle) => {
        if (waiting.length === 0) setImmediate(commit);
        waiting.push({ request: structuredClone(request), settle });
      }),
    (request) => isInLedger(database, request),
  );
}

/** A token as a verified grant has it. */
function oneTime(random: number, issuedAt = NOW): OneTimeToken {
  const grant = verifyToken(
    sampleToken({ expires: 0, random, issuedAt }),
    KEYS,
    { ...DOWNLOAD, operation: "delete" },
    NOW,
  );
  if (grant.kind !== "one-time") throw new Error("a one-time token was expected");
  return grant.token;
}

describe("createOnceLedger() over SQLite", () => {
  test("spends a token once", async () => {
    const ledger = databaseLedger();
    expect(await ledger.spend(oneTime(1), NOW)).toBe(true);
    expect(await ledger.spend(oneTime(1), NOW)).toBe(false);
    expect(await ledger.spend(oneTime(2), NOW)).toBe(true);
  });

  test("spends a token once for 50 requests at the same time", async () => {
    const ledger = databaseLedger();
    const results = await Promise.all(Array.from({ length: 50 }, () => ledger.spend(oneTime(1), NOW)));
    expect(results.filter((isFirst) => isFirst)).toHaveLength(1);
  });

  test("distinguishes tokens of equal MAC by their SecretID", async () => {
    const ledger = databaseLedger();
    expect(await ledger.spend(oneTime(1), NOW)).toBe(true);
    expect(await ledger.spend({ ...oneTime(1), secretId: "AKIDTWO" }, NOW)).toBe(true);
  });

  test("treats a token issued more than 92 days ago as spent", async () => {
    const ledger = databaseLedger();
    expect(await ledger.spend(oneTime(1), NOW + MAX_LIFE_SECONDS + 1)).toBe(false);
    expect(await ledger.spend(oneTime(1), NOW + MAX_LIFE_SECONDS)).toBe(true);
  });
});

describe("spendOnce()", () => {
  test("finds a spent token after a restart", () => {
    expect(spendOnce(database, oneTime(1))).toBe(true);
    database.close();
    database = openDatabase();
    expect(spendOnce(database, oneTime(1))).toBe(false);
  });

  test("spends nothing in a transaction that is rolled back", () => {
    const failing = () =>
      transaction(database, () => {
        expect(spendOnce(database, oneTime(1))).toBe(true);
        throw new Error("disk full");
      });
    expect(failing).toThrow("disk full");
    expect(spendOnce(database, oneTime(1))).toBe(true);
  });

  test("spends a token on only one of two connections", () => {
    const other = openDatabase();
    try {
      expect([spendOnce(database, oneTime(1)), spendOnce(other, oneTime(1))]).toEqual([true, false]);
    } finally {
      other.close();
    }
  });
});

test("pruneSpent() keeps a row for a day longer than its token is accepted", () => {
  spendOnce(database, oneTime(1));
  spendOnce(database, oneTime(2, NOW + 1));
  const lastUse = NOW + MAX_LIFE_SECONDS;
  spendOnce(database, oneTime(3, lastUse + DAY + 1));
  expect(pruneSpent(database, lastUse + DAY)).toBe(0);
  expect(pruneSpent(database, lastUse + DAY + 1)).toBe(1);
  expect(spendOnce(database, oneTime(2, NOW + 1))).toBe(false);
});

test("pruneSpent() removes no row that may be used again once a wrong clock is right", () => {
  spendOnce(database, oneTime(1));
  expect(pruneSpent(database, NOW + 10 * MAX_LIFE_SECONDS)).toBe(0);
  expect(spendOnce(database, oneTime(1))).toBe(false);
});
