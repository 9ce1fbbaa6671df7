// Makes download URLs from the bucket's address, the fileid, an alias or an instruction, and a signature.
import { isIP } from "node:net";
import { argumentError } from "./api/client-error.ts";
import { checkFileid, type SigningContext, signFor } from "./signing.ts";

export interface UrlOptions {
  /** Processing of the image: `processing().fit({ width: 200 })`, or an instruction as text. */
  readonly process?: { readonly text: string } | string;
  /** A download alias (样式下载别名) with its separator, such as `!small`. Excludes `process`. */
  readonly alias?: string;
  /** Signs the URL, for a bucket with `token: required`. True: valid for 600 seconds. */
  readonly sign?: boolean | { readonly lifeSeconds: number };
}

export interface UrlContext extends SigningContext {
  /** Both URLs are without a slash at their end. */
  readonly downloads: string | undefined;
  readonly endpoint: string;
}

/** Throws argument_invalid. */
export function downloadUrl(place: UrlContext, fileid: string, { process, alias = "", sign }: UrlOptions): string {
  checkFileid(fileid);
  if (alias !== "" && process !== undefined) throw argumentError("Cannot use an alias and an instruction in one URL");
  const instruction = typeof process === "string" ? process : (process?.text ?? "");
  const query = instruction === "" ? [] : [instructionInUrl(instruction)];
  if (sign !== undefined && sign !== false) {
    const lifeSeconds = sign === true ? undefined : sign.lifeSeconds;
    query.push(`sign=${encodeURIComponent(signFor(place, { operation: "download", fileid, lifeSeconds }))}`);
  }
  const path = `${fileid}${alias}`.split("/").map(encodeURIComponent).join("/");
  return `${baseOf(place)}/${path}${query.length === 0 ? "" : `?${query.join("&")}`}`;
}

/** Escapes an instruction for a query: only the characters that a URL cannot hold. */
export function instructionInUrl(text: string): string {
  return encodeURI(text).replaceAll("#", "%23").replaceAll("&", "%26");
}

/** The address of the bucket's downloads, without a slash at its end. */
function baseOf({ downloads, endpoint, appid, bucket }: UrlContext): string {
  if (downloads !== undefined) return downloads;
  const { protocol, host, hostname } = new URL(endpoint);
  if (isIP(hostname) !== 0 || hostname.startsWith("[")) {
    throw argumentError(`Cannot derive the download address from ${endpoint}: wanted the option downloads`);
  }
  return `${protocol}//${bucket}-${appid}.${host}`;
}
