// Parses the digests that an origin declares for a body: Content-MD5, Digest (RFC 3230), Repr-Digest and Content-Digest
// (RFC 9530). Pure. An ETag is never taken for a digest, even if it looks like an MD5, because too many sites send
// false ones.
import type { DeclaredDigests } from "../../body/gate/gate.ts";

type Algorithm = keyof DeclaredDigests;

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ["md5", "md5"],
  ["sha", "sha1"],
  ["sha-1", "sha1"],
  ["sha-256", "sha256"],
]);
const DIGEST_BYTES: Readonly<Record<Algorithm, number>> = { md5: 16, sha1: 20, sha256: 32 };
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Returns digests of the body, raw bytes. Digests that are malformed, have a wrong length or an unknown algorithm are
 * ignored. If two headers declare the same algorithm, the newer kind of header wins. `members`: the members of a list
 * header.
 */
export function readDigests(members: (name: string) => readonly string[]): DeclaredDigests {
  const found: Partial<Record<Algorithm, Buffer>> = {};
  const note = (name: string, base64: string) => {
    const algorithm = ALGORITHMS.get(name.toLowerCase());
    if (algorithm === undefined || found[algorithm] !== undefined || !BASE64.test(base64)) return;
    const bytes = Buffer.from(base64, "base64");
    if (bytes.length === DIGEST_BYTES[algorithm]) found[algorithm] = bytes;
  };
  // Content and representation are the same here: the request has no range, and codings are refused.
  for (const member of [...members("repr-digest"), ...members("content-digest")]) {
    const [, name, value] = /^([a-z0-9-]+)=:([^:]*):(?:;.*)?$/.exec(member) ?? [];
    if (name !== undefined && value !== undefined) note(name, value);
  }
  for (const member of members("digest")) {
    const [, name, value] = /^([A-Za-z0-9-]+)=(.+)$/.exec(member) ?? [];
    if (name !== undefined && value !== undefined) note(name, value);
  }
  for (const member of members("content-md5")) note("md5", member);
  return found;
}
