// Reads the names that a command works on, from its arguments or the lines of a file or of standard input. It streams,
// because a list may have millions of lines.
import { createReadStream } from "node:fs";
import { errorCodeOf } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";

/** Limits of one request: the server accepts this many names, in a body of at most 1 MiB. */
const MAX_NAMES = 1_000;
const MAX_BATCH_CHARACTERS = 250_000;
const MAX_NAME_CHARACTERS = 8_192;

/** Groups names into non-empty batches. Throws request_invalid for a line that cannot be a name. */
export async function* inBatches(names: Iterable<string> | AsyncIterable<string>): AsyncIterable<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for await (const name of names) {
    if (batch.length === MAX_NAMES || characters + name.length > MAX_BATCH_CHARACTERS) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(name);
    characters += name.length;
  }
  if (batch.length > 0) yield batch;
}

/** The lines of a UTF-8 file, without blank ones; `-` is standard input. Throws request_invalid. */
export async function* linesOf(file: string): AsyncIterable<string> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  let number = 0;
  const nameIn = (line: string) => {
    number += 1;
    if (line.length > MAX_NAME_CHARACTERS) throw invalid(`line ${number} of the list is longer than any valid name`);
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  };
  try {
    let rest = "";
    for await (const text of textOf(input)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const name of lines.map(nameIn)) if (name.trim() !== "") yield name;
      if (rest.length > MAX_NAME_CHARACTERS) nameIn(rest);
    }
    const last = nameIn(rest);
    if (last.trim() !== "") yield last;
  } catch (error) {
    if (error instanceof HuiyuanError) throw error;
    const code = errorCodeOf(error) || String(error);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
      throw invalid(`the list is not UTF-8 after line ${number}; save it as UTF-8`);
    throw invalid(`Cannot read the list "${file}": ${code}`, error);
  } finally {
    if (input !== process.stdin) input.destroy();
  }
}

/** Throws TypeError for text that is not UTF-8, because replaced bytes would make another name. Skips a BOM. */
async function* textOf(input: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const bytes of input) yield decoder.decode(bytes, { stream: true });
  yield decoder.decode();
}

/** Counts the names in a file. Throws request_invalid. */
export async function countLines(file: string): Promise<number> {
  let count = 0;
  for await (const _ of linesOf(file)) count += 1;
  return count;
}

function invalid(message: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("request_invalid", message, { cause });
}
