// Signs a request for an S3-compatible store (AWS Signature Version 4, in headers), for origins and buckets. It sends
// nothing: aws4fetch's own fetch would bypass the guarded dialer.
import { AwsV4Signer } from "aws4fetch";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Signing keys, one for each day and region. The caller keeps the map between requests; it holds at most MAX_KEYS
 * entries.
 */
export type S3KeyCache = Map<string, ArrayBuffer>;

export interface S3Unsigned {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /**
   * The URL as it will be sent: path from encodeS3Path(), query values from encodeURIComponent(), no repeated
   * parameter.
   */
  readonly url: string;
  /**
   * Further headers, values Latin-1. All are signed except Content-Type, Content-Length, User-Agent, Range and Expect.
   */
  readonly headers?: Readonly<Record<string, string>>;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** SHA-256 of the body in hex. */
  readonly payloadHash: string;
  /** Unix milliseconds; stores refuse more than 15 minutes of difference to their own clock. */
  readonly now: number;
  readonly keyCache?: S3KeyCache;
}

/** SHA-256 of zero bytes, the payload hash of a GET, HEAD or DELETE. */
export const EMPTY_PAYLOAD = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const MAX_KEYS = 8;

/**
 * Returns all headers to send, lower-case names: the given ones with `host`, `x-amz-date`, `x-amz-content-sha256` and
 * `authorization`. They are valid for this URL's host only.
 */
export async function signS3Request(request: S3Unsigned): Promise<Record<string, string>> {
  const { method, url, credentials, region, keyCache } = request;
  if (keyCache !== undefined && keyCache.size >= MAX_KEYS) keyCache.clear();
  const signer = new AwsV4Signer({
    method,
    url,
    headers: { ...request.headers, "x-amz-content-sha256": request.payloadHash },
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey,
    service: "s3",
    region,
    datetime: compactDate(request.now),
    ...(keyCache === undefined ? {} : { cache: keyCache }),
  });
  const signed = await signer.sign();
  return { host: signed.url.host, ...Object.fromEntries(signed.headers) };
}

/**
 * Encodes a key as a URL path in the form that the signature requires: `%XX` for every byte except unreserved
 * characters and `/`. Stores disagree on other spellings of the same path (`!`, `+`).
 */
export function encodeS3Path(key: string): string {
  return encodeURIComponent(key)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%2F", "/");
}

/** `20130524T000000Z` */
function compactDate(now: number): string {
  return new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, "");
}
