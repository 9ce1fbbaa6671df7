// Checks fileids and escapes them for REST paths and download URLs. Pure.
import { argumentError } from "./api/client-error.ts";

/** Limit of the REST API, in bytes of UTF-8. */
const MAX_FILEID_BYTES = 128;

/** Throws argument_invalid for a name that every service refuses. */
export function checkFileid(fileid: string): void {
  const bytes = new TextEncoder().encode(fileid).length;
  const isSized = bytes >= 1 && bytes <= MAX_FILEID_BYTES;
  const hasDots = fileid.split("/").some((segment) => segment === "." || segment === "..");
  if (isSized && !hasDots && fileid.isWellFormed() && !fileid.includes("\0")) return;
  const wanted = `1 to ${MAX_FILEID_BYTES} bytes of UTF-8, no NUL, no "." or ".." between slashes`;
  throw argumentError(`Cannot use ${JSON.stringify(fileid.slice(0, 200))} as a fileid: wanted ${wanted}`);
}

/** One segment of a REST path. Slashes become `%2F`, so that a name that ends in `/copy` is not an operation. */
export function fileidInPath(fileid: string): string {
  return encodeURIComponent(fileid);
}

/** The path of a download URL. Slashes stay unescaped. */
export function fileidInUrl(fileid: string): string {
  return fileid.split("/").map(encodeURIComponent).join("/");
}
