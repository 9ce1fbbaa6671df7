// How a fileid is written: in a path of the REST API, and in a download URL. Pure.
import { argumentError } from "./errors/client-error.ts";

/** Bytes of UTF-8 that the REST API takes. */
const MAX_FILEID_BYTES = 128;

/** Throws argument_invalid for what no service takes as a name. */
export function checkFileid(fileid: string): void {
  const bytes = new TextEncoder().encode(fileid).length;
  const isSized = bytes >= 1 && bytes <= MAX_FILEID_BYTES;
  const hasDots = fileid.split("/").some((segment) => segment === "." || segment === "..");
  if (isSized && !hasDots && fileid.isWellFormed() && !fileid.includes("\0")) return;
  const wanted = `1 to ${MAX_FILEID_BYTES} bytes of UTF-8, no NUL, no "." or ".." between slashes`;
  throw argumentError(`Cannot use ${JSON.stringify(fileid.slice(0, 200))} as a fileid: wanted ${wanted}`);
}

/** One segment of a REST path: slashes are `%2F`, so that a name that ends in `/copy` stays a name. */
export function fileidInPath(fileid: string): string {
  return encodeURIComponent(fileid);
}

/** In a download URL slashes stand as they are. */
export function fileidInUrl(fileid: string): string {
  return fileid.split("/").map(encodeURIComponent).join("/");
}
