// Receives the file part of a form into a spool and checks the image's structure on the way, without holding the whole
// file in memory. It stores nothing in a bucket.
import type { Readable } from "node:stream";
import { createGate } from "../body/gate/gate.ts";
import type { Spool, WholeBody } from "../body/spool/spool.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { ImageFacts } from "../core/object.ts";

/** A received file. Its body belongs to the spool and is gone once nothing holds the spool. */
export interface Received {
  readonly body: WholeBody;
  /** Undefined if the file is no whole image. */
  readonly image: ImageFacts | undefined;
}

/** Throws `tooLarge` beyond `maxBytes`, the stream's error, store_full and store_failed. The caller owns the spool. */
export async function receiveFile(
  file: Readable,
  { spool, maxBytes, tooLarge }: { readonly spool: Spool; readonly maxBytes: number; readonly tooLarge: ErrorCode },
): Promise<Received> {
  const gate = createGate();
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      if (spool.received + chunk.byteLength > maxBytes) {
        throw new HuiyuanError(tooLarge, `Cannot accept the file: more than ${maxBytes} bytes`);
      }
      gate.push(chunk);
      if (!spool.write(chunk)) await spool.drained();
    }
  } catch (error) {
    // If the form fails, it destroys the file with a coded error, but the parser's own error may be thrown first.
    const known = error instanceof HuiyuanError ? error : asHuiyuanError(file.errored ?? error);
    spool.fail(known);
    throw known;
  }
  // The form's boundary has ended the file, as the last chunk of a chunked body would.
  const verdict = gate.verdict({ framing: "chunked", isFramingWhole: true, isHashRight: true });
  return { body: await spool.finish(), image: verdict.kind === "whole" ? verdict.image : undefined };
}
