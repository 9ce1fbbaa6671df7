// The upload notice (回调): builds its form body and token for the server, and verifies them for a receiver. Pure: clock
// and secret are arguments. The original's token is undocumented, so its format is our own. It imports no other file,
// because the client SDK includes it unchanged. It sends nothing.
import { createHmac, timingSafeEqual } from "node:crypto";

/** The fields of a notice. */
export interface CallbackNotice {
  readonly appid: string;
  readonly bucket: string;
  readonly fileid: string;
  /** MagicContext of the upload, unchanged; empty if there was none. */
  readonly magicContext: string;
  /** SHA-1 of the file, lower-case hex. */
  readonly sha1: string;
  /** Bytes. */
  readonly size: number;
  /** The download URL of the stored file. */
  readonly url: string;
  /** Deprecated; `0`. */
  readonly userid: string;
  /** Time of this attempt, Unix seconds. */
  readonly timestamp: number;
  /** 1 for the notice that the uploader waits for; the body then has no such field. From 2 on: a redelivery. */
  readonly attempt: number;
}

/** The largest difference between a notice and the receiver's clock, in either direction. Seconds. */
export const MAX_CALLBACK_SKEW_SECONDS = 900;

/** An `application/x-www-form-urlencoded` body in ASCII: the fields in alphabetical order, then `token`. */
export function callbackBody(notice: CallbackNotice, secret: string): string {
  const signed = [
    ["appid", notice.appid],
    ...(notice.attempt > 1 ? [["attempt", String(notice.attempt)]] : []),
    ["bucket", notice.bucket],
    ["fileid", notice.fileid],
    ["magic_context", notice.magicContext],
    ["sha", notice.sha1],
    ["size", String(notice.size)],
    ["timestamp", String(notice.timestamp)],
    ["url", notice.url],
    ["userid", notice.userid],
  ]
    .map(([name, value = ""]) => `${name}=${percentEncoded(value)}`)
    .join("&");
  return `${signed}${TOKEN_SEPARATOR}${tokenOf(signed, secret)}`;
}

/**
 * Why a notice is refused.
 * - `malformed`: it is no notice, or a field is missing or invalid.
 * - `mismatch`: it was made with another secret, or changed in transit.
 * - `stale`: its time differs from the receiver's by more than 15 minutes.
 */
export type CallbackRefusal = "malformed" | "mismatch" | "stale";

export type CallbackVerdict =
  | { readonly ok: true; readonly notice: CallbackNotice }
  | { readonly ok: false; readonly refusal: CallbackRefusal };

/**
 * For receivers: verifies that a request body, as received, was made with the secret. `now`: Unix seconds. A notice may
 * arrive more than once: the same (bucket, fileid, sha1) is the same upload.
 */
export function verifyCallback(
  body: string | Uint8Array,
  { secret, now }: { readonly secret: string; readonly now: number },
): CallbackVerdict {
  // One character per byte. A notice is ASCII, so other bytes make the token wrong.
  const text = typeof body === "string" ? body : Buffer.from(body).toString("latin1");
  const split = text.lastIndexOf(TOKEN_SEPARATOR);
  if (split === -1) return { ok: false, refusal: "malformed" };
  const signed = text.slice(0, split);
  if (!isEqual(text.slice(split + TOKEN_SEPARATOR.length), tokenOf(signed, secret))) {
    return { ok: false, refusal: "mismatch" };
  }
  const notice = readNotice(signed);
  if (notice === undefined) return { ok: false, refusal: "malformed" };
  if (Math.abs(now - notice.timestamp) > MAX_CALLBACK_SKEW_SECONDS) return { ok: false, refusal: "stale" };
  return { ok: true, notice };
}

const TOKEN_SEPARATOR = "&token=";

/** Lower-case hex of HMAC-SHA1. */
function tokenOf(signed: string, secret: string): string {
  return createHmac("sha1", secret).update(signed, "latin1").digest("hex");
}

/** Constant time for equal lengths. The length of a token is no secret. */
function isEqual(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given, "latin1"), Buffer.from(wanted, "latin1")];
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}

/** Encodes all but the unreserved characters of RFC 3986 as upper-case `%XX` of their UTF-8 bytes. */
function percentEncoded(value: string): string {
  const escaped = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(value.toWellFormed()).replace(/[!'()*]/g, escaped);
}

/** Parses a body whose token is right. Undefined if another sender with the same secret left a field out. */
function readNotice(signed: string): CallbackNotice | undefined {
  const form = new URLSearchParams(signed);
  const [appid, bucket, fileid, sha1, url] = ["appid", "bucket", "fileid", "sha", "url"].map((name) => form.get(name));
  const [size, timestamp, attempt] = [form.get("size"), form.get("timestamp"), form.get("attempt") ?? "1"].map(whole);
  if (!appid || !bucket || !fileid || !sha1 || !url) return undefined;
  if (size === undefined || timestamp === undefined || attempt === undefined) return undefined;
  const [magicContext, userid] = [form.get("magic_context") ?? "", form.get("userid") ?? ""];
  return { appid, bucket, fileid, magicContext, sha1, size, url, userid, timestamp, attempt };
}

function whole(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
