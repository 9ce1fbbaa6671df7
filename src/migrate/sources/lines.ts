// Lists the lines of a file or of standard input, as they arrive. The cursor is the offset behind the last line.
import { type FileHandle, open } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { SourceObject, SourcePage, UnlistedObject } from "../source.ts";
import { errnoText } from "./file-names.ts";
import { shownUrl } from "./listed-url.ts";
import type { Listing } from "./origins.ts";

const CHUNK_BYTES = 65_536;
const PAGE_LINES = 1_000;
const MAX_LINE_BYTES = 8_192;
const NEWLINE = 10;

export interface LineListingOptions {
  /** Absolute path; `-` is `stdin`. */
  readonly file: string;
  readonly stdin?: Readable;
  /** The object of a line, which is trimmed and not blank. Throws a HuiyuanError if it cannot be one. */
  readonly read: (line: string) => SourceObject;
}

export function createLineListing({ file, stdin = process.stdin, read }: LineListingOptions): Listing {
  const isResumable = file !== "-";

  async function* list(after: string | undefined, signal: AbortSignal): AsyncGenerator<SourcePage, void, undefined> {
    const from = Number(after ?? 0);
    const input = isResumable ? await openList(file, from) : stdin;
    try {
      for await (const { lines, end } of linesOf(addAbortSignal(signal, input), from))
        yield { ...pageOf(lines, read), cursor: isResumable ? String(end) : undefined };
    } catch (error) {
      signal.throwIfAborted();
      throw unreadable(error, file);
    } finally {
      input.destroy();
    }
  }

  return { isResumable, list, close: async () => undefined };
}

/** Throws request_invalid, also if the list has another line at the offset than before. */
async function openList(file: string, from: number): Promise<Readable> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const before = Buffer.alloc(1);
    if (from > 0) await handle.read(before, 0, 1, from - 1);
    const { size } = await handle.stat();
    if (from > size || (from > 0 && from < size && before[0] !== NEWLINE)) {
      const found = `Cannot continue the list ${JSON.stringify(file)}: it has changed since the scan was interrupted`;
      throw new HuiyuanError("request_invalid", `${found}; \`huiyuan migrate clean\` begins again`);
    }
    return handle.createReadStream({ start: from, highWaterMark: CHUNK_BYTES });
  } catch (error) {
    await handle?.close();
    throw unreadable(error, file);
  }
}

function unreadable(error: unknown, file: string): HuiyuanError {
  if ((error as NodeJS.ErrnoException).errno === undefined) return asHuiyuanError(error);
  return new HuiyuanError("request_invalid", `Cannot read the list: ${errnoText(error, file)}`, { cause: error });
}

/** The lines of a page, without their ends, and the offset behind them. A too long line is cut. */
async function* linesOf(input: AsyncIterable<Buffer>, from: number) {
  let rest: Buffer = Buffer.alloc(0);
  let offset = from;
  for await (const chunk of input) {
    let lines: Buffer[] = [];
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      lines.push(Buffer.concat([rest, chunk.subarray(at, end)]));
      rest = Buffer.alloc(0);
      at = end + 1;
      if (lines.length < PAGE_LINES) continue;
      yield { lines, end: offset + at };
      lines = [];
    }
    rest = Buffer.concat([rest, chunk.subarray(at)]).subarray(0, MAX_LINE_BYTES + 1);
    if (lines.length > 0) yield { lines, end: offset + at };
    offset += chunk.byteLength;
  }
  if (rest.byteLength > 0) yield { lines: [rest], end: offset };
}

function pageOf(lines: readonly Buffer[], read: LineListingOptions["read"]): Omit<SourcePage, "cursor"> {
  const objects: SourceObject[] = [];
  const failures: UnlistedObject[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true }); // it skips a BOM
  for (const line of lines) {
    try {
      if (line.byteLength > MAX_LINE_BYTES) throw invalid(`The line has more than ${MAX_LINE_BYTES} bytes`);
      const text = decoder.decode(line).trim();
      if (text !== "") objects.push(read(text));
    } catch (error) {
      const reason = error instanceof TypeError ? "The line is not UTF-8" : asHuiyuanError(error).message;
      failures.push({ shown: shownUrl(line), reason });
    }
  }
  return { objects, failures };
}

function invalid(found: string): HuiyuanError {
  return new HuiyuanError("url_invalid", found);
}
