// Signs operations on fileids with the project's key pair, and makes download URLs from the bucket's address, the
// fileid, an alias or an instruction, and a signature.

import { randomInt } from "node:crypto";
import { isIP } from "node:net";
import { MAX_LIFE_SECONDS, makeToken } from "../serve/sign/token.ts";
import { argumentError } from "./api/client-error.ts";

/**
 * The operation that a signature allows. For `upload` and `download` it is multi-use until it expires, and is valid for
 * `fileid`, or for the whole bucket without one. For `copy` and `delete` it is valid once, for `fileid`.
 */
export type SignRequest =
  | {
      readonly operation: "upload" | "download";
      readonly fileid?: string | undefined;
      /** 1 to 7 948 800 (92 days); default 600. */ readonly lifeSeconds?: number | undefined;
    }
  | { readonly operation: "copy" | "delete"; readonly fileid: string };

export interface SigningContext {
  readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
  /** Milliseconds since 1970. */ readonly now: () => number;
}

const DEFAULT_LIFE_SECONDS = 600;

/** The signature for a header; percent-encode it for a URL. Throws argument_invalid. */
export function signFor(place: SigningContext, request: SignRequest): string {
  const { appid, bucket, secretId, secretKey } = place;
  const issuedAt = Math.floor(place.now() / 1000);
  const life = "lifeSeconds" in request ? (request.lifeSeconds ?? DEFAULT_LIFE_SECONDS) : DEFAULT_LIFE_SECONDS;
  if (!Number.isSafeInteger(life) || life < 1 || life > MAX_LIFE_SECONDS) {
    throw argumentError(`Cannot sign for ${life} seconds: wanted an integer from 1 to ${MAX_LIFE_SECONDS}`);
  }
  if (request.fileid !== undefined) checkFileid(request.fileid);
  const isOneTime = request.operation === "copy" || request.operation === "delete";
  const expires = isOneTime ? 0 : issuedAt + life;
  const random = randomInt(2 ** 32);
  const fields = { appid, bucket, secretId, expires, issuedAt, random, userid: "0", fileid: request.fileid ?? "" };
  try {
    return makeToken(fields, secretKey);
  } catch (error) {
    throw argumentError(error instanceof Error ? error.message : String(error));
  }
}

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
