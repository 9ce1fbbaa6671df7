// Finds the rows of a journal whose objects have another name under the filters of this run.
import type { Sqlite } from "../../../core/sqlite.ts";
import { FAILED } from "./database.ts";

/** The name that the filters of a run give the object with this locator; undefined: it is left out. */
export type NameNow = (locator: string) => string | undefined;

/** Serials of the rows that have another name now; undefined if one of them has not failed. */
export function renamedRows(database: Sqlite, nameNow: NameNow): readonly number[] | undefined {
  const rows = database.prepareArrays<[], readonly [number, string, string, number]>(
    "SELECT serial, fileid, locator, status FROM jobs WHERE locator <> ''",
  );
  const serials: number[] = [];
  for (const [serial, fileid, locator, status] of rows.iterate()) {
    if (nameNow(locator) === fileid) continue;
    if (status !== FAILED) return undefined;
    serials.push(serial);
  }
  return serials;
}
