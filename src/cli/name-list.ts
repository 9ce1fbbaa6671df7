// The names that a command is to work on: its arguments, or the lines of a file or of standard input, read as they are
// needed. A list may have millions of lines.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { HuiyuanError } from "../errors.ts";

/** At most so many names are sent at once; the server takes no more, and no larger body than 1 MiB. */
const MAX_NAMES = 1_000;
const MAX_BATCH_CHARACTERS = 250_000;
const MAX_NAME_CHARACTERS = 8_192;

/** Names in batches, never an empty one. Throws request_invalid for a line that cannot be a name. */
export async function* inBatches(
  names: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<readonly string[], void, undefined> {
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

/** The lines of a file; `-` is standard input. Blank ones are left out. Throws request_invalid. */
export async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  let number = 0;
  try {
    // Not its events: an error of the stream would not reach the loop.
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (line.length > MAX_NAME_CHARACTERS)
        throw new HuiyuanError("request_invalid", `line ${number} of the list is longer than a name can be`);
      if (line.trim() !== "") yield line;
    }
  } catch (error) {
    if (error instanceof HuiyuanError) throw error;
    throw unreadable(file, error);
  } finally {
    if (input !== process.stdin) input.destroy();
  }
}

/** How many names the lines of a file are. Throws request_invalid. */
export async function countLines(file: string): Promise<number> {
  let count = 0;
  for await (const _ of linesOf(file)) count += 1;
  return count;
}

function unreadable(file: string, cause: unknown): HuiyuanError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new HuiyuanError("request_invalid", `Cannot read the list "${file}": ${code}`, { cause });
}
