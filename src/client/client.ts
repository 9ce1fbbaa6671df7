// The public SDK, `huiyuan/client`: signs, uploads, calls the REST API, makes download URLs and verifies callbacks.
// For servers only: it holds the project's SecretKey, which must never reach a browser or an app.
import { type CallbackVerdict, verifyCallback as verify } from "../serve/sign/callback.ts";
import { readCopied, readStat, readUploaded } from "./api/answers.ts";
import { createCaller } from "./api/call.ts";
import { argumentError, type Copied, HuiyuanClientError, type ImageStat, type Uploaded } from "./api/client-error.ts";
import { makeForm } from "./api/form.ts";
import {
  type ImageSource,
  openSource,
  type RepeatableSource,
  type SliceProgress,
  uploadSlices,
} from "./upload/source.ts";
import { checkFileid, downloadUrl, type SigningContext, type SignRequest, signFor, type UrlOptions } from "./url.ts";

export type { CallbackNotice, CallbackRefusal, CallbackVerdict } from "../serve/sign/callback.ts";
export { type ErrorName, HuiyuanClientError } from "./api/client-error.ts";
export { type Processing, processing } from "./processing/processing.ts";
export type { Copied, ImageSource, ImageStat, RepeatableSource, SignRequest, SliceProgress, Uploaded, UrlOptions };

export interface ClientOptions {
  /** URL of the REST API, such as `https://images.example.com`; the client appends `/photos/v2/…`. */
  readonly endpoint: string;
  /** Decimal. */ readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
  /**
   * URL of the bucket's downloads, such as `https://img.example.com`; the fileid is appended. Default:
   * `<bucket>-<appid>.` before the host of `endpoint`, which is right if that host is the service's
   * `server.baseDomain`.
   */
  readonly downloads?: string;
  /** An attempt without progress for this time fails. Milliseconds; default 30 000. */ readonly timeoutMs?: number;
  /** Attempts after the first, if a retry is safe. Default 2. */ readonly retries?: number;
  readonly fetch?: typeof fetch;
  /** Milliseconds since 1970. */ readonly now?: () => number;
}

export interface CallOptions {
  /** Aborting rejects the call with the signal's reason. */ readonly signal?: AbortSignal;
}

export interface UploadOptions extends CallOptions {
  /** 1 to 128 bytes of UTF-8, with any slashes. If it is taken: file_exists. If absent, the service makes a name. */
  readonly fileid?: string;
  /** Passed to the callback unchanged. */ readonly magicContext?: string;
}

export interface WholeUploadOptions extends UploadOptions {
  readonly onProgress?: (progress: { readonly sentBytes: number; readonly totalBytes: number }) => void;
}

export interface SliceUploadOptions extends UploadOptions {
  /** At most 3 MiB; default 512 KiB. */ readonly sliceBytes?: number;
  /** Session of an interrupted upload, which the service resumes. */ readonly session?: string;
  readonly onProgress?: (progress: SliceProgress) => void;
}

/** Every call throws HuiyuanClientError. */
export interface Client {
  sign(request: SignRequest): string;
  /** Uploads in one request, with the MD5. Never overwrites. */
  upload(source: ImageSource, options?: WholeUploadOptions): Promise<Uploaded>;
  /** Uploads in slices, for images above about 5 MB or poor networks: a broken connection costs one slice. */
  uploadSlices(source: RepeatableSource, options?: SliceUploadOptions): Promise<Uploaded>;
  /** Undefined if there is no such image. */
  stat(fileid: string, options?: CallOptions): Promise<ImageStat | undefined>;
  /** Copies to a new name that the service makes. */
  copy(fileid: string, options?: CallOptions): Promise<Copied>;
  /** Deletes the image. Throws not_found. */
  delete(fileid: string, options?: CallOptions): Promise<void>;
  /** Download URL of the image, or of a processed version. */
  url(fileid: string, options?: UrlOptions): string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 2;
const DEFAULT_SLICE_BYTES = 524_288;

/** Throws argument_invalid. */
export function createClient(options: ClientOptions): Client {
  const { appid, bucket, timeoutMs = DEFAULT_TIMEOUT_MS, retries = DEFAULT_RETRIES } = options;
  const endpoint = addressOf("endpoint", options.endpoint);
  const downloads = options.downloads === undefined ? undefined : addressOf("downloads", options.downloads);
  const place: SigningContext = { ...options, now: options.now ?? Date.now };
  const caller = createCaller({ endpoint, timeoutMs, retries, fetch: options.fetch ?? fetch });
  const bucketPath = `/photos/v2/${encodeURIComponent(appid)}/${encodeURIComponent(bucket)}/0`;
  const pathOf = (fileid: string, operation = "") => {
    checkFileid(fileid);
    // Slashes become `%2F`, so that a name that ends in `/copy` is not an operation.
    return `${bucketPath}/${encodeURIComponent(fileid)}${operation}`;
  };
  const uploadPlace = (fileid: string | undefined) => ({
    path: fileid === undefined ? bucketPath : pathOf(fileid),
    sign: () => signFor(place, { operation: "upload", fileid }),
  });
  const callOnce = (operation: "copy" | "delete", fileid: string, { signal }: CallOptions) =>
    caller.call({
      method: "POST",
      path: pathOf(fileid, operation === "copy" ? "/copy" : "/del"),
      sign: () => signFor(place, { operation, fileid }),
      retry: "if-unprocessed",
      signal,
    });

  return {
    sign: (request) => signFor(place, request),
    async upload(given, { fileid, magicContext, onProgress, signal } = {}) {
      const source = await openSource(given);
      const { size: totalBytes } = source;
      const fields = { ...(magicContext !== undefined && { MagicContext: magicContext }) };
      const file = { size: totalBytes, read: () => source.read(0, totalBytes), hasMd5: true };
      const answer = await caller.call({
        ...uploadPlace(fileid),
        method: "POST",
        form: makeForm(fields, file),
        onFile: onProgress && ((sentBytes) => onProgress({ sentBytes, totalBytes })),
        retry: source.isRepeatable ? "if-unprocessed" : "never",
        signal,
      });
      return readUploaded(answer);
    },
    async uploadSlices(given, { fileid, magicContext, session, sliceBytes, onProgress, signal } = {}) {
      const source = await openSource(given);
      const rest = { magicContext, session, sliceBytes: sliceBytes ?? DEFAULT_SLICE_BYTES, onProgress, signal };
      return uploadSlices(caller, { ...uploadPlace(fileid), ...rest, source });
    },
    async stat(fileid, { signal } = {}) {
      try {
        return readStat(await caller.call({ method: "GET", path: pathOf(fileid), retry: "always", signal }));
      } catch (error) {
        if (error instanceof HuiyuanClientError && error.name === "not_found") return undefined;
        throw error;
      }
    },
    copy: async (fileid, callOptions = {}) => readCopied(await callOnce("copy", fileid, callOptions)),
    delete: async (fileid, callOptions = {}) => void (await callOnce("delete", fileid, callOptions)),
    url: (fileid, urlOptions = {}) => downloadUrl({ ...place, downloads, endpoint }, fileid, urlOptions),
  };
}

/**
 * Checks a callback that your server received: was it signed with the bucket's `callback.secret`, and what does it say?
 * `body` is the request body exactly as received; `now` is in milliseconds since 1970. The same notice may arrive more
 * than once: an equal (bucket, fileid, sha1) is the same upload.
 */
export function verifyCallback(
  body: string | Uint8Array,
  { secret, now = Date.now() }: { readonly secret: string; readonly now?: number },
): CallbackVerdict {
  return verify(body, { secret, now: Math.floor(now / 1000) });
}

/** Returns the URL without a slash at its end. */
function addressOf(option: string, text: string): string {
  const isUrl = /^https?:\/\/[^/?#]+(?:\/[^?#]*)?$/.test(text) && URL.canParse(text);
  if (!isUrl)
    throw argumentError(`Cannot use ${JSON.stringify(text)} as ${option}: wanted http://host or https://host`);
  return text.replace(/\/+$/, "");
}
