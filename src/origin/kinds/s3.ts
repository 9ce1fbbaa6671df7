// The origin `s3`: a bucket of any S3-compatible store, public or with keys. Where the bucket is says s3-place.ts, and
// sigv4.ts signs; here is what a store's answers mean.
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { type S3PlaceOptions, s3Place } from "../../core/s3-place.ts";
import { EMPTY_PAYLOAD, encodeS3Path, type S3KeyCache, signS3Request } from "../../core/sigv4.ts";
import { parseHome } from "../exchange/hop.ts";
import type { ErrorMeaning, RawHeaders } from "../exchange/response-head.ts";
import type { Origin } from "../origin.ts";
import { createHttpOrigin, type HttpOriginOptions } from "./http-origin.ts";
import { type HttpOriginRules, hashedId } from "./http-rules.ts";

export interface S3Options extends HttpOriginOptions, S3PlaceOptions {
  /** Both or none; none is an anonymous request, for a public bucket. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  /** Put before every key, such as `images/`. */
  readonly prefix?: string | undefined;
  /** Unix milliseconds; default Date.now. */
  readonly now?: () => number;
}

/** Throws settings_invalid for options that cannot work. */
export function createS3(options: S3Options): Origin {
  return createHttpOrigin(options, s3Rules(options));
}

/** Throws settings_invalid. */
export function s3Rules(options: S3Options): HttpOriginRules {
  const place = s3Place(options);
  const home = parseHome(place.url);
  const { accessKeyId, secretAccessKey, prefix = "", allowPrivate, now = Date.now } = options;
  if (((accessKeyId || "") === "") !== ((secretAccessKey || "") === "")) {
    throw new HuiyuanError("settings_invalid", `Cannot use "${place.url}": give both accessKeyId and secretAccessKey`);
  }
  const keyCache: S3KeyCache = new Map();
  return {
    id: options.id ?? hashedId("s3", [place, prefix, allowPrivate, accessKeyId, secretAccessKey]),
    home,
    head: {},
    // Never a query: `?acl` and its like would be asked with the operator's keys.
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
 * What a store's error says. Absent is only what the store itself calls a missing key, or a bare 404: a missing bucket, and
 * a page of something else that stands at the endpoint, are a failure.
 */
export function readS3Error(status: number, body: string | undefined): ErrorMeaning {
  if (body === undefined) return { isAbsent: false, detail: "its body broke off" };
  const detail = /<Code>\s*([A-Za-z0-9_.-]{1,60})\s*<\/Code>/.exec(body)?.[1];
  const isAbsent = (status === 404 || status === 410) && (detail === "NoSuchKey" || body.trim() === "");
  return { isAbsent, detail };
}

/** A store redirects when bucket and region do not fit. A signature holds for one host and region: nothing to follow. */
function refuseRedirect(url: string, headers: RawHeaders): never {
  const region = headers["x-amz-bucket-region"];
  const where = typeof region === "string" && /^[\w-]{1,40}$/.test(region) ? ` in region ${region}` : " elsewhere";
  throw new HuiyuanError(
    "origin_redirect",
    `Cannot fetch "${url}": the store says that the bucket is${where}, set region or endpoint`,
  );
}

/**
 * The MD5 in the ETag of an object that was put whole, in stores where it is one. An object of several parts has a dash in
 * it; one encrypted with a key of KMS or the customer has something else that looks alike.
 */
function md5OfEtag(headers: RawHeaders): DeclaredDigests | undefined {
  const { etag } = headers;
  const encryption = headers["x-amz-server-side-encryption"];
  if (encryption !== undefined && encryption !== "AES256") return undefined;
  if (headers["x-amz-server-side-encryption-customer-algorithm"] !== undefined) return undefined;
  const hex = typeof etag === "string" ? /^"([0-9a-f]{32})"$/.exec(etag)?.[1] : undefined;
  return hex === undefined ? undefined : { md5: Buffer.from(hex, "hex") };
}
