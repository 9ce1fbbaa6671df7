// Lists the lines of a file or of standard input, as they arrive. The cursor is the number of the lines before it.
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { errnoText } from "./file-names.ts";
import { assertBelow, type Folders } from "./folders.ts";
import { shownUrl } from "./listed-url.ts";
import type { Listing } from "./origins.ts";

const PAGE_LINES = 1_000;
const MAX_LINE_BYTES = 8_192;

export interface LineListingOptions {
  /** Absolute path; `-` is `stdin`. */
  readonly file: string;
  readonly stdin?: Readable;
  /** The file must be below one of them. */
  readonly folders: Folders;
  /** The object of a line, which is trimmed and not blank. Throws a HuiyuanError if it cannot be one. */
  readonly read: (line: string) => SourceObject;
}

/** A listing that continues reads the lines before the cursor again, which costs less than a page. */
export function createLineListing({ file, stdin = process.stdin, folders, read }: LineListingOptions): Listing {
  const isResumable = file !== "-";

  async function* list(after: string | undefined, signal: AbortSignal): AsyncGenerator<SourcePage, void, undefined> {
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
