// The sources that are a list. `URLList` has a URL a line: of any host, or with file: of this machine. The list of a
// domain, whose origins serve the objects, has keys as they are, and URLs, which may be percent-encoded.

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import { toKey } from "../../../core/object.ts";
import type { HttpOriginOptions } from "../../../serve/origin/kinds/http-origin.ts";
import type { Source, SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { type KeyBases, objectBelow, objectOf, readListedUrl, shownUrl, type UrlEncoding } from "./listed-url.ts";
import { openFile } from "./local-body.ts";
import { assertBelow, errnoText, type Folders } from "./local-paths.ts";
import { createHosts, fetchFrom, type Listing } from "./origins.ts";

type ListOptions = Omit<LineListingOptions, "read">;

export interface UrlListOptions extends ListOptions {
  readonly encoded: UrlEncoding;
}

/** The locator is the URL as written. With `folders` no file: URL is read: the list may come from another machine. */
export function createUrlListSource(options: UrlListOptions, http: HttpOriginOptions): Source {
  const hosts = createHosts(http);
  const read = (line: string) => {
    const url = readListedUrl(line, options.encoded);
    if (!url.isFile || options.folders === undefined) return url;
    throw new HuiyuanError("url_invalid", "file: URLs are not allowed here");
  };
  return {
    ...createLineListing({ ...options, read: (line) => objectOf(read(line).fileid, line) }),
    async fetch(request) {
      const url = read(request.object.locator);
      return url.isFile ? openFile(url.path, request.maxBytes, undefined) : fetchFrom(hosts.placeOf(url), request);
    },
    close: hosts.close,
  };
}

export function createKeyListing(options: ListOptions & { readonly bases: KeyBases }): Listing {
  const read = (line: string) =>
    /^[a-z][a-z0-9+.-]*:\/\//i.test(line)
      ? objectBelow(options.bases, readListedUrl(line, "auto"))
      : objectOf(toKey(line));
  return createLineListing({ ...options, read });
}

const PAGE_LINES = 1_000;
const MAX_LINE_BYTES = 8_192;

interface LineListingOptions {
  /** Absolute path; `-` is `stdin`. */
  readonly file: string;
  readonly stdin?: Readable;
  /** The file must be below one of them. */
  readonly folders: Folders;
  /** The object of a line, which is trimmed and not blank. Throws a HuiyuanError if it cannot be one. */
  readonly read: (line: string) => SourceObject;
}

/** A listing that continues reads the lines before the cursor again, which costs less than a page. */
function createLineListing({ file, stdin = process.stdin, folders, read }: LineListingOptions): Listing {
  const isResumable = file !== "-";

  async function* list(after: string | undefined, signal: AbortSignal): AsyncIterable<SourcePage> {
    const from = Number(after ?? 0);
    let before = 0;
    const input = addAbortSignal(signal, isResumable ? createReadStream(file) : stdin);
    try {
      if (isResumable) assertBelow(file, folders, (await once(input, "open"))[0]);
      for await (const lines of linesOf(input)) {
        const fresh = lines.slice(Math.max(0, from - before));
        before += lines.length;
        if (fresh.length > 0) yield { ...pageOf(fresh, read), cursor: isResumable ? String(before) : undefined };
      }
    } catch (error) {
      signal.throwIfAborted();
      if ((error as NodeJS.ErrnoException).errno === undefined) throw asHuiyuanError(error);
      throw new HuiyuanError("request_invalid", `Cannot read the list: ${errnoText(error, file)}`, { cause: error });
    } finally {
      input.destroy();
    }
    assertWhole(file, before, from);
  }

  return { isResumable, list, close: async () => undefined };
}

/** `found`: the lines of the list; `from`: those of the scan that it continues. */
function assertWhole(file: string, found: number, from: number): void {
  // Else a scan of standard input that was interrupted would end well if the next start has none.
  if (file === "-" && found === 0)
    throw new HuiyuanError("request_invalid", "Cannot read the list: standard input has no line; send the whole list");
  if (found >= from) return;
  const change = `Cannot continue the list ${JSON.stringify(file)}: it has changed since the scan was interrupted`;
  throw new HuiyuanError("request_invalid", `${change}; \`huiyuan migrate clean\` begins again`);
}

/** The lines without their ends, in parts of bounded length. A too long line is cut. */
async function* linesOf(input: AsyncIterable<Buffer>) {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of input) {
    // Latin-1 keeps each byte.
    const lines = Buffer.concat([rest, chunk]).toString("latin1").split("\n");
    rest = Buffer.from(lines.pop() ?? "", "latin1").subarray(0, MAX_LINE_BYTES + 1);
    for (let at = 0; at < lines.length; at += PAGE_LINES)
      yield lines.slice(at, at + PAGE_LINES).map((line) => Buffer.from(line, "latin1"));
  }
  if (rest.byteLength > 0) yield [rest];
}

function pageOf(lines: readonly Buffer[], read: LineListingOptions["read"]): Omit<SourcePage, "cursor"> {
  const objects: SourceObject[] = [];
  const failures: UnlistedObject[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true }); // it skips a BOM
  for (const line of lines) {
    try {
      if (line.byteLength > MAX_LINE_BYTES)
        throw new HuiyuanError("url_invalid", `The line has more than ${MAX_LINE_BYTES} bytes`);
      const text = decoder.decode(line).trim();
      if (text !== "") objects.push(read(text));
    } catch (error) {
      const reason = error instanceof TypeError ? "The line is not UTF-8" : asHuiyuanError(error).message;
      failures.push({ shown: shownUrl(line), reason });
    }
  }
  return { objects, failures };
}
