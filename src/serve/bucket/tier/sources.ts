// The byte source of a remote put of a finished body.

import { HuiyuanError } from "../../../core/errors.ts";
import { closeFile, openFile, readInto } from "../../../core/files.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import type { ByteSource } from "../remote/remote.ts";

/** Opens the body for `run` and closes it afterwards. Throws store_failed if its file cannot be read. */
export async function withSource<Result>(
  body: WholeBody,
  run: (source: ByteSource) => Promise<Result>,
): Promise<Result> {
  const { size, hashes, content } = body;
  if (content.kind === "buffer") {
    const { buffer } = content;
    return run({ size, hashes, read: async (start, end) => buffer.subarray(start, end + 1) });
  }
  const failed = (cause: unknown) =>
    new HuiyuanError("store_failed", `Cannot read "${content.path}": ${String(cause)}`, { cause });
  const descriptor = await openFile(content.path, "r").catch((error: unknown) => {
    throw failed(error);
  });
  try {
    return await run({
      size,
      hashes,
      async read(start, end) {
        const bytes = Buffer.allocUnsafe(end - start + 1);
        if ((await readInto(descriptor, bytes, start)) < bytes.length) throw failed("the file is too short");
        return bytes;
      },
    });
  } finally {
    closeFile(descriptor);
  }
}
