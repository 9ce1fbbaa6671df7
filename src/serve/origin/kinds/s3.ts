// The origin `s3`: a bucket of any S3-compatible store, public or with keys. s3-place.ts locates the bucket and
// sigv4.ts signs; this file interprets a store's responses.

import { HuiyuanError } from "../../../core/errors.ts";
import { type S3PlaceOptions, s3Place } from "../../../core/s3-place.ts";
import { EMPTY_PAYLOAD, encodeS3Path, type S3KeyCache, signS3Request } from "../../../core/sigv4.ts";
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import { parseHome } from "../exchange/hop.ts";
import type { ErrorMeaning, RawHeaders } from "../exchange/response-head.ts";
import { type HttpOriginRules, hashedId } from "./http-rules.ts";

export interface S3Options extends S3PlaceOptions {
  /** Both or none; without them requests are anonymous, for a public bucket. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  /** Put before every key, such as `images/`. */
  readonly prefix?: string | undefined;
  readonly referer?: string | undefined;
  /** True: the origin may have a private address. */
  readonly allowPrivate: boolean;
  /** Unix milliseconds; default Date.now. */
  readonly now?: () => number;
}

/** Throws settings_invalid for options that cannot work. */
export function s3Rules(options: S3Options): HttpOriginRules {
  const place = s3Place(options);
  const home = parseHome(place.url);
  const { accessKeyId, secretAccessKey, prefix = "", referer, allowPrivate, now = Date.now } = options;
  if (((accessKeyId || "") === "") !== ((secretAccessKey || "") === "")) {
    throw new HuiyuanError("settings_invalid", `Cannot use "${place.url}": give both accessKeyId and secretAccessKey`);
  }
  const keyCache: S3KeyCache = new Map();
  return {
    id: hashedId("s3", [place, prefix, referer || "", allowPrivate, accessKeyId, secretAccessKey]),
    home,
    head: { referer },
    // Never with a query: `?acl` and similar would be requested with the operator's keys.
    target: ({ path }) => `${home.basePath}/${encodeS3Path(prefix + path)}`,
    ...(accessKeyId && secretAccessKey
      ? {
          sign: (method: "GET" | "HEAD", url: string) =>
            signS3Request({
              method,
              url,
              region: place.region,
              credentials: { accessKeyId, secretAccessKey },
              payloadHash: EMPTY_PAYLOAD,
              now: now(),
              keyCache,
            }),
        }
      : {}),
    refuseRedirect,
    readError: readS3Error,
    digests: (headers) => (place.isEtagMd5 ? md5OfEtag(headers) : undefined),
  };
}

/**
 * Interprets a store's error. Absent means that the store itself reports a missing key, or sends a bare 404. A missing
 * bucket, and an error page of another server at the endpoint, are failures.
 */
export function readS3Error(status: number, body: string | undefined): ErrorMeaning {
  if (body === undefined) return { isAbsent: false, detail: "its body is truncated" };
  const detail = /<Code>\s*([A-Za-z0-9_.-]{1,60})\s*<\/Code>/.exec(body)?.[1];
  const isAbsent = (status === 404 || status === 410) && (detail === "NoSuchKey" || body.trim() === "");
  return { isAbsent, detail };
}

/**
 * A store redirects if bucket and region do not match. A signature is valid for one host and region, so nothing can be
 * followed.
 */
function refuseRedirect(url: string, headers: RawHeaders): never {
  const region = headers["x-amz-bucket-region"];
  const where = typeof region === "string" && /^[\w-]{1,40}$/.test(region) ? ` in region ${region}` : " elsewhere";
  throw new HuiyuanError(
    "origin_redirect",
    `Cannot fetch "${url}": the store says that the bucket is${where}, set region or endpoint`,
  );
}

/**
 * Returns the MD5 in the ETag of an object that was put whole, for stores that document it. The ETag of a multipart
 * object contains a dash. The ETag of an object encrypted with a KMS or customer key looks like an MD5 but is not.
 */
function md5OfEtag(headers: RawHeaders): DeclaredDigests | undefined {
  const { etag } = headers;
  const encryption = headers["x-amz-server-side-encryption"];
  if (encryption !== undefined && encryption !== "AES256") return undefined;
  if (headers["x-amz-server-side-encryption-customer-algorithm"] !== undefined) return undefined;
  const hex = typeof etag === "string" ? /^"([0-9a-f]{32})"$/.exec(etag)?.[1] : undefined;
  return hex === undefined ? undefined : { md5: Buffer.from(hex, "hex") };
}
