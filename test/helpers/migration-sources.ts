// Reads migration sources to their end, as a runner does, for tests of what they list and fetch.
import { SILENT_LOG } from "../../src/core/log.ts";
import type { Source, SourceObject, SourcePage } from "../../src/operate/migrations/source.ts";
import type { HttpOriginOptions } from "../../src/serve/origin/kinds/http-origin.ts";
import { gather, type Heard } from "./site-under-test.ts";

/** Private addresses are allowed. */
export const SOURCE_HTTP: HttpOriginOptions = {
  allowPrivate: true,
  connections: 8,
  timeouts: { connect: 3_000, firstByte: 5_000, idle: 5_000, total: 15_000 },
  userAgent: "Huiyuan/test",
  serverId: "test",
  log: SILENT_LOG,
};

export const NEVER = new AbortController().signal;

export async function pagesOf(source: Pick<Source, "list">, after?: string): Promise<SourcePage[]> {
  const pages: SourcePage[] = [];
  for await (const page of source.list(after, NEVER)) pages.push(page);
  return pages;
}

export async function objectsOf(source: Pick<Source, "list">, after?: string): Promise<SourceObject[]> {
  return (await pagesOf(source, after)).flatMap(({ objects }) => objects);
}

export async function failuresOf(source: Pick<Source, "list">): Promise<SourcePage["failures"]> {
  return (await pagesOf(source)).flatMap(({ failures }) => failures);
}

/** The names that are listed and their bytes. Throws fetch()'s errors, and an error for an absent object. */
export async function contentOf(source: Source): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const object of await objectsOf(source)) {
    const { bytes, error } = await fetchObject(source, object);
    if (error !== undefined) throw error;
    found.set(object.fileid, bytes.toString());
  }
  return found;
}

export async function fetchObject(
  source: Source,
  object: Pick<SourceObject, "fileid" | "locator">,
  maxBytes = 1_048_576,
): Promise<Heard> {
  const answer = await source.fetch({ object, maxBytes, signal: NEVER });
  if (answer === undefined || answer.isNotModified) throw new Error(`${object.fileid} is absent`);
  return gather(answer.body);
}
