// Reads the body of an answer as a stream, and hashes it.
import { createHash } from "node:crypto";
import { addAbortSignal, Readable } from "node:stream";
import type { OriginBody } from "../../../serve/origin/origin.ts";

/** Fails as the body does. Whoever does not read it to its end destroys it. */
export function streamOf(body: OriginBody): Readable {
  let isStarted = false;
  const stream: Readable = new Readable({
    read() {
      if (isStarted) return body.resume();
      isStarted = true;
      body.start({
        data: (chunk) => stream.push(chunk),
        end: () => stream.push(null),
        error: (error) => stream.destroy(error),
      });
    },
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  return stream;
}

export type Digest = "sha256" | "md5";

export interface Hashed {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex, of the digests that were asked for. */
  readonly hashes: { readonly [Name in Digest]?: string };
}

/** Throws as the body does, and an AbortError. */
export async function hashBody(body: OriginBody, names: readonly Digest[], signal: AbortSignal): Promise<Hashed> {
  const hashes = names.map((name) => createHash(name));
  let size = 0;
  for await (const chunk of addAbortSignal(signal, streamOf(body)) as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    for (const hash of hashes) hash.update(chunk);
  }
  return { size, hashes: Object.fromEntries(names.map((name, at) => [name, hashes[at]?.digest("hex")])) };
}
