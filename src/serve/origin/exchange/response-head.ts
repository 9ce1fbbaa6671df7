// Classifies an origin's response head: absent, a redirect, a successful response, or an error code. Pure, except that
// it reads the body of an error. It does not judge whether the body is whole.

import { HuiyuanError } from "../../../core/errors.ts";
import { parseHttpDate } from "../../../core/http-date.ts";
import { type DeclaredLife, STORED_HEADERS } from "../../../core/object.ts";
import type { DeclaredDigests, Framing } from "../../body/gate/gate.ts";
import type { OriginAnswer, OriginBody, Validators } from "../origin.ts";
import type { ContentCoding } from "./decoded-body.ts";
import { REDIRECT_STATUSES } from "./hop.ts";
import type { Lifetime } from "./lifetime.ts";

/** Lower-case names; an array if the origin repeated a header. Bytes as Latin-1. */
export type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The facts that the head of a successful response states. `coding`: the content coding to undo, if there is one. */
export type AnswerFacts = Pick<
  OriginAnswer,
  "size" | "framing" | "digests" | "etag" | "lastModified" | "life" | "headers"
> & { readonly coding: ContentCoding | undefined };

export type HeadVerdict =
  | { readonly kind: "absent" }
  | { readonly kind: "redirect"; readonly location: string | undefined }
  | { readonly kind: "not-modified"; readonly facts: Pick<AnswerFacts, "etag" | "lastModified" | "life"> }
  | { readonly kind: "answer"; readonly facts: AnswerFacts };

const MAX_RETRY_AFTER_S = 86_400;
const MAX_VALUE_BYTES = 1024;
const VISIBLE = /^[\x20-\x7e]+$/;

/** The request that the head responds to. */
export interface SentRequest {
  readonly maxBytes: number;
  /** Names the request in messages. */
  readonly label: string;
  /** Unix milliseconds. */
  readonly now: number;
  /** A 304 is valid only to a conditional request. */
  readonly isConditional: boolean;
  /** The meaning of an error's body, if it was read; then a 404 alone proves nothing. */
  readonly meaning?: ErrorMeaning | undefined;
}

export interface ErrorMeaning {
  readonly isAbsent: boolean;
  /** For the message: short, printable, without secrets. */
  readonly detail: string | undefined;
}

/**
 * Judges a final head (status 200 and above) of a request without a range. Throws origin_status, origin_unexpected,
 * origin_encoded, origin_too_large.
 */
export function assessHead(
  head: { readonly status: number; readonly headers: RawHeaders },
  sent: SentRequest,
): HeadVerdict {
  const { status, headers } = head;
  if (sent.meaning?.isAbsent ?? (status === 404 || status === 410)) return { kind: "absent" };
  if (REDIRECT_STATUSES.has(status)) return { kind: "redirect", location: firstValue(headers, "location") };
  const found = `Cannot use the response to "${sent.label}"`;
  if (status === 304 && sent.isConditional) return { kind: "not-modified", facts: validationFacts(headers) };
  if (status !== 200) {
    if (status < 300 || status === 304) {
      throw new HuiyuanError("origin_unexpected", `${found}: status ${status}, 200 is wanted`, {
        originStatus: status,
      });
    }
    const wait = retryAfterSeconds(firstValue(headers, "retry-after"), sent.now);
    const detail = sent.meaning?.detail === undefined ? "" : ` (${sent.meaning.detail})`;
    throw new HuiyuanError("origin_status", `${found}: status ${status}${detail}, 200 is wanted`, {
      originStatus: status,
      ...(wait === undefined ? {} : { retryAfterSeconds: wait }),
    });
  }
  const coding = codingOf(headers);
  if (coding === "unknown") throw new HuiyuanError("origin_encoded", `${found}: it has an unknown coding, or several`);
  const length = declaredLength(headers);
  if (length !== undefined && length > sent.maxBytes) {
    throw new HuiyuanError("origin_too_large", `${found}: ${length} bytes, the limit is ${sent.maxBytes}`);
  }
  const { etag, lastModified, life } = validationFacts(headers);
  const digests = readDigests((name) => allValues(headers, name));
  const stored = storedHeaders(headers);
  // The length is that of the coded bytes. A coding marks its own end, as the last chunk does.
  const [size, framing] = coding === undefined ? [length, framingOf(headers)] : ([undefined, "chunked"] as const);
  const facts = { size, framing, digests, headers: stored, etag, lastModified, life, coding };
  return { kind: "answer", facts };
}

/**
 * Whether a 304 is about the version that the request named. A 304 with another entity tag is not (RFC 9111 §4.3.4);
 * servers that compare dates only send such. Compared weakly, as If-None-Match is (RFC 9110 §13.1.2).
 */
export function confirmsVersion(unless: Validators, { etag }: Pick<AnswerFacts, "etag">): boolean {
  if (etag === undefined || unless.etag === undefined) return true;
  return opaque(etag) === opaque(unless.etag);
}

function opaque(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}

function validationFacts(headers: RawHeaders) {
  return {
    etag: boundedValue(headers, "etag"),
    lastModified: boundedValue(headers, "last-modified"),
    life: declaredLife(headers),
  };
}

function declaredLife(headers: RawHeaders): DeclaredLife {
  const life: { -readonly [Name in keyof DeclaredLife]: DeclaredLife[Name] } = {};
  // The header is a list: a second line may contain no-store.
  const cacheControl = allValues(headers, "cache-control").join(", ");
  if (cacheControl !== "" && isStorableValue(cacheControl)) life.cacheControl = cacheControl;
  for (const name of ["expires", "date", "age"] as const) {
    const value = boundedValue(headers, name);
    if (value !== undefined) life[name] = value;
  }
  return life;
}

/** The declared body length in bytes; undefined if there is none, or if Transfer-Encoding overrides it. */
export function declaredLength(headers: RawHeaders): number | undefined {
  if (headers["transfer-encoding"] !== undefined) return undefined;
  const text = firstValue(headers, "content-length");
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The delimiter of a message with a body. */
export function framingOf(headers: RawHeaders): Framing {
  if (headers["transfer-encoding"] !== undefined) return "chunked";
  return declaredLength(headers) === undefined ? "close" : "length";
}

const CODINGS: ReadonlyMap<string, ContentCoding> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
]);

/**
 * Returns the one content coding, undefined if there is none. `unknown`: the bytes of the image cannot be had, because
 * there are several, an unsupported one, or a transfer coding except chunked.
 */
export function codingOf(headers: RawHeaders): ContentCoding | "unknown" | undefined {
  if (headers["content-encoding"] === undefined && headers["transfer-encoding"] === undefined) return undefined;
  const content = allValues(headers, "content-encoding").map((coding) => coding.toLowerCase());
  const [coding, second] = content.filter((name) => name !== "identity");
  const isForeign = allValues(headers, "transfer-encoding").some((name) => name.toLowerCase() !== "chunked");
  if (isForeign || second !== undefined) return "unknown";
  return coding === undefined ? undefined : (CODINGS.get(coding) ?? "unknown");
}

function retryAfterSeconds(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : Math.ceil((parseHttpDate(text, now) ?? Number.NaN) - now / 1_000);
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_S);
}

function storedHeaders(headers: RawHeaders): Record<string, string> {
  const stored: Record<string, string> = {};
  for (const name of STORED_HEADERS) {
    const value = boundedValue(headers, name);
    if (value !== undefined) stored[name] = value;
  }
  return stored;
}

/** Returns a value that is safe to store and send: visible ASCII, at most 1 KiB. Other values count as absent. */
function boundedValue(headers: RawHeaders, name: string): string | undefined {
  const value = firstValue(headers, name);
  return value !== undefined && isStorableValue(value) ? value : undefined;
}

function isStorableValue(value: string): boolean {
  return value.length <= MAX_VALUE_BYTES && VISIBLE.test(value);
}

function firstValue(headers: RawHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "object" ? value[0] : value;
}

/** Returns the members of a comma-separated list header, from all its lines. */
function allValues(headers: RawHeaders, name: string): string[] {
  const value = headers[name];
  if (value === undefined) return [];
  const lines = typeof value === "object" ? value : [value];
  return lines.flatMap((line) => line.split(",").map((member) => member.trim())).filter((member) => member !== "");
}

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
 * Parses Content-MD5, Digest (RFC 3230), Repr-Digest and Content-Digest (RFC 9530). An ETag is never taken for a
 * digest, even if it looks like an MD5, because too many sites send false ones. Returns digests of the body, raw bytes.
 * Digests that are malformed, have a wrong length or an unknown algorithm are ignored. If two headers declare the same
 * algorithm, the newer kind of header wins. `members`: the members of a list header.
 */
function readDigests(members: (name: string) => readonly string[]): DeclaredDigests {
  const found: Partial<Record<Algorithm, Buffer>> = {};
  const add = (name: string, base64: string) => {
    const algorithm = ALGORITHMS.get(name.toLowerCase());
    if (algorithm === undefined || found[algorithm] !== undefined || !BASE64.test(base64)) return;
    const bytes = Buffer.from(base64, "base64");
    if (bytes.length === DIGEST_BYTES[algorithm]) found[algorithm] = bytes;
  };
  // Content and representation are the same here, because the request has no range.
  for (const member of [...members("repr-digest"), ...members("content-digest")]) {
    const [, name, value] = /^([a-z0-9-]+)=:([^:]*):(?:;.*)?$/.exec(member) ?? [];
    if (name !== undefined && value !== undefined) add(name, value);
  }
  for (const member of members("digest")) {
    const [, name, value] = /^([A-Za-z0-9-]+)=(.+)$/.exec(member) ?? [];
    if (name !== undefined && value !== undefined) add(name, value);
  }
  for (const member of members("content-md5")) add("md5", member);
  return found;
}

/**
 * Reads a body in which a server explains an error. Returns at most `maxBytes` of the body as UTF-8 and ends the
 * exchange. Undefined for a truncated body. Throws only the lifetime's failure, which ends the fetch itself.
 */
export function readShortBody(body: OriginBody, maxBytes: number, lifetime: Lifetime): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const finish = () => resolve(Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8"));
    body.start({
      data(chunk) {
        chunks.push(chunk);
        received += chunk.length;
        if (received > maxBytes) {
          body.destroy();
          finish();
        }
        return true;
      },
      end: finish,
      error() {
        if (lifetime.failure === undefined) resolve(undefined);
        else reject(lifetime.failure);
      },
    });
  });
}
