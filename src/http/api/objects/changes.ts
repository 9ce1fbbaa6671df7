// Deletes, undeletes or purges many objects: named ones, or all of a prefix. It yields one line for each and counts
// them. A key that cannot be changed does not stop the others.
import type * as z from "zod";
import { asHuiyuanError, errorRow } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { Stored } from "../../../mirror/stored/stored.ts";
import { inParallel, untilAborted } from "../in-parallel.ts";
import { type Domains, findNamed, type NamedObject } from "../naming.ts";
import type { changeCounts, changeLine } from "../openapi/answers.ts";

/** `forMs`: lifetime of the tombstone; undefined: until it is removed. */
export type Change =
  | { readonly kind: "delete"; readonly reason: string; readonly forMs: number | undefined }
  | { readonly kind: "undelete" }
  | { readonly kind: "purge"; readonly hard: boolean };

/** `names`: URLs, or keys of `bucket`. `prefix`: all objects of `bucket` whose keys begin with it. */
export type Selection =
  | { readonly names: readonly string[]; readonly bucket: () => Stored }
  | { readonly prefix: string; readonly bucket: () => Stored };

export type ChangeLine = z.infer<typeof changeLine>;
/** Numbers of lines by outcome. */
export type ChangeCounts = z.infer<typeof changeCounts>;

// The store commits concurrent changes as one group.
const PLACES = 32;
const PAGE = 1_000;

/** Yields a line for each key once its change is durable, and updates `counts`. Ends early when the signal aborts. */
export async function* changeAll(
  selection: Selection,
  change: Change,
  parts: { readonly domains: Domains; readonly counts: ChangeCounts; readonly signal: AbortSignal },
): AsyncGenerator<ChangeLine, void, undefined> {
  const { domains, counts, signal } = parts;
  const work = async ({ name, find }: Target): Promise<ChangeLine> => {
    try {
      const { stored, key } = await find();
      return { bucket: stored.bucketId, key, changed: await apply(change, stored, key) };
    } catch (error) {
      const { code, message } = asHuiyuanError(error);
      const { status, text } = errorRow(code);
      return { name, code, message: status < 500 ? message : text };
    }
  };
  const targets = "names" in selection ? named(selection, domains) : withPrefix(selection, signal);
  for await (const line of inParallel(untilAborted(targets, signal), { places: PLACES, work })) {
    count(line, counts);
    yield line;
  }
}

function apply(change: Change, stored: Stored, key: Key): Promise<boolean> {
  switch (change.kind) {
    case "delete":
      return stored.delete(key, change.reason, change.forMs);
    case "undelete":
      return stored.undelete(key);
    case "purge":
      return stored.purge(key, { hard: change.hard });
  }
}

function count(line: ChangeLine, counts: ChangeCounts): void {
  if ("code" in line) counts.failed += 1;
  else if (line.changed) counts.changed += 1;
  else counts.unchanged += 1;
}

interface Target {
  readonly name: string;
  readonly find: () => Promise<NamedObject>;
}

async function* named(
  { names, bucket }: Extract<Selection, { readonly names: readonly string[] }>,
  domains: Domains,
): AsyncGenerator<Target, void, undefined> {
  for (const name of names) yield { name, find: () => findNamed(name, bucket, domains) };
}

async function* withPrefix(
  { prefix, bucket }: Extract<Selection, { readonly prefix: string }>,
  signal: AbortSignal,
): AsyncGenerator<Target, void, undefined> {
  const stored = bucket();
  let after: Key | undefined;
  do {
    const page = await stored.bucket.list({ prefix, after, limit: PAGE, signal });
    for (const { key } of page.objects) yield { name: key, find: async () => ({ stored, key }) };
    after = page.next;
  } while (after !== undefined);
}
