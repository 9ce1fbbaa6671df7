// In your own server, use your own database.
import { openSqlite } from "../../../src/core/sqlite.ts";
// Records which user owns which picture: one row per picture from the moment its upload is permitted. Only the callback
// marks a picture as stored.

export interface Picture {
  /** A UUID, used in the page's URLs. */ readonly id: string;
  /** Its name in the image service. */ readonly fileid: string;
  readonly owner: string;
  /** The uploaded file's name; any text that a user may type. */ readonly title: string;
  /** Bytes; 0 until it is stored. */ readonly size: number;
  /** Hex; empty until it is stored. */ readonly sha1: string;
  /** Unix seconds. */ readonly at: number;
}

export interface Pictures {
  /** Returns false if the owner already has the maximum number of pictures. */
  permit(picture: Pick<Picture, "id" | "fileid" | "owner" | "title">): boolean;
  /** Returns undefined if no permit was issued for this fileid. Idempotent. */
  markStored(fileid: string, stored: Pick<Picture, "size" | "sha1">): Picture | undefined;
  /** Stored pictures, newest first. */
  of(owner: string): readonly Picture[];
  find(id: string, owner: string): Picture | undefined;
  remove(id: string, owner: string): void;
  close(): void;
}

const MOST_OF_AN_OWNER = 200;
/** Callbacks are retried for one day at most; an older permit without a callback is void. */
const PERMIT_SECONDS = 90_000;

/** Creates `file` if it is missing. */
export function openPictures(file: string): Pictures {
  const database = openSqlite(file);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`
    CREATE TABLE IF NOT EXISTS pictures (
      id TEXT PRIMARY KEY, fileid TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, title TEXT NOT NULL,
      size INTEGER NOT NULL DEFAULT 0, sha1 TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS pictures_of_owner ON pictures (owner, at);
  `);
  const forget = database.prepare("DELETE FROM pictures WHERE sha1 = '' AND at < ?");
  const count = database.prepareArrays<[string], [number]>("SELECT count(*) FROM pictures WHERE owner = ?");
  const insert = database.prepare("INSERT INTO pictures (id, fileid, owner, title, at) VALUES (?, ?, ?, ?, ?)");
  const store = database.prepare<[number, string, string], Picture>(
    "UPDATE pictures SET size = ?, sha1 = ? WHERE fileid = ? RETURNING *",
  );
  const list = database.prepare<[string], Picture>(
    "SELECT * FROM pictures WHERE owner = ? AND sha1 <> '' ORDER BY at DESC, rowid DESC",
  );
  const one = database.prepare<[string, string], Picture>(
    "SELECT * FROM pictures WHERE id = ? AND owner = ? AND sha1 <> ''",
  );
  const remove = database.prepare("DELETE FROM pictures WHERE id = ? AND owner = ?");
  return {
    permit({ id, fileid, owner, title }) {
      const now = Math.floor(Date.now() / 1000);
      forget.run(now - PERMIT_SECONDS);
      const [kept] = count.get(owner) ?? [0];
      if (kept >= MOST_OF_AN_OWNER) return false;
      insert.run(id, fileid, owner, title, now);
      return true;
    },
    markStored: (fileid, { size, sha1 }) => store.get(size, sha1, fileid),
    of: (owner) => list.all(owner),
    find: (id, owner) => one.get(id, owner),
    remove: (id, owner) => void remove.run(id, owner),
    close: () => database.close(),
  };
}
