// The source `S3`: the objects of a bucket in any S3-compatible store, listed by ListObjectsV2 and read by the origin.
import { compareUtf8 } from "../../../core/object.ts";
import { isResult, listPage } from "../../../serve/bucket/s3/answers.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import { type S3Options, s3Rules } from "../../../serve/origin/kinds/s3.ts";
import type { Origin } from "../../../serve/origin/origin.ts";
import type { Source, SourcePage } from "../source.ts";
import { readPage, unusable } from "./documents.ts";
import { createKeySource, type Listing } from "./origins.ts";

/** Throws settings_invalid. */
export function createS3Source(options: S3Options, http: HttpOriginOptions): Source {
  return createKeySource(createS3Listing(options, http), createHttpOrigin(http, s3Rules(options)));
}

/**
 * Lists the objects below the prefix; fileids and locators are names without it. The cursor is the last name, which
 * never expires as a continuation token may. Throws settings_invalid.
 */
export function createS3Listing(options: S3Options, http: HttpOriginOptions): Listing {
  const rules = s3Rules(options);
  const target = ({ query }: { readonly query: string }) => `${rules.home.basePath || "/"}?${query}`;
  const origin = createHttpOrigin(http, { ...rules, target });
  const list = (after: string | undefined, signal: AbortSignal) => listPages(origin, options, after, signal);
  return { isResumable: true, list, close: origin.close };
}

async function* listPages(
  origin: Origin,
  { prefix = "", bucket }: S3Options,
  after: string | undefined,
  signal: AbortSignal,
): AsyncIterable<SourcePage> {
  const fail = (found: string) => unusable(`the bucket "${bucket}"`, found);
  for (let [last, isEnd] = [after, false]; !isEnd; ) {
    const from: Record<string, string> = last === undefined ? {} : { "start-after": last };
    const text = await readPage(origin, { "list-type": "2", "encoding-type": "url", prefix, ...from }, signal);
    if (!isResult(text, "ListBucketResult")) throw fail("the response is no listing");
    const { names, isTruncated } = listPage(text);
    const [first] = names;
    if (first === undefined && isTruncated) throw fail("a page before the last one is empty");
    // A store that only knows version 1 of the listing would send the first page for ever.
    if (first !== undefined && last !== undefined && compareUtf8(first.name, last) <= 0)
      throw fail("the store ignores where the page begins");
    [last, isEnd] = [names.at(-1)?.name ?? last, !isTruncated];
    const objects = names
      .filter(({ name }) => !name.endsWith("/"))
      .map(({ name, size, etag }) => {
        const fileid = name.slice(prefix.length);
        return { fileid, locator: fileid, size, version: etag || undefined };
      });
    yield { objects, failures: [], cursor: last };
  }
}
