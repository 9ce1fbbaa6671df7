// A span of bytes as a sequence of small pieces, so that a request's progress can be seen while it is sent.
import type { ByteSource } from "../remote/remote.ts";

const CHUNK_BYTES = 262_144;

/** Bytes `start` to `end`, both inclusive. */
export async function* chunksOf(source: ByteSource, start = 0, end = source.size - 1): AsyncGenerator<Buffer> {
  for (let at = start; at <= end; at += CHUNK_BYTES) yield await source.read(at, Math.min(at + CHUNK_BYTES - 1, end));
}
