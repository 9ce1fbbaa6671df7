// The bytes of a tombstone. It has bytes of its own, since S3 makes the version of an object from its bytes: a put over a
// tombstone that is carried out late must not fit the next one. A listing tells sizes only, so they are as many as no image has.
import { createHash, randomBytes } from "node:crypto";
import type { S3Request } from "./client.ts";

const BYTES = 16;

/** Sent anew for each try, and the same in all of them. */
export function tombstoneBody(): NonNullable<S3Request["body"]> {
  // 96 bits as text, so that whoever looks at it sees something.
  const bytes = Buffer.from(randomBytes(12).toString("base64url"));
  return {
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    open: async function* () {
      yield bytes;
    },
  };
}

/** Nothing of no bytes is an object either: tombstones of earlier versions, and what consoles show as folders. */
export function mayBeObject(size: number): boolean {
  return size > 0 && size !== BYTES;
}
