// The interface of an origin: it gets a request for one key and responds with a body that is still arriving. Sites,
// clouds and mirrors implement it. Nothing here depends on a protocol.
import type { Cancellation } from "../../async/cancellation.ts";
import type { HuiyuanError } from "../../core/errors.ts";
import type { DeclaredLife, Key } from "../../core/object.ts";
import type { DeclaredDigests, Framing } from "../body/gate/gate.ts";

/** The request target at an origin. The rules of the mirror source decide it, never the client alone. */
export interface OriginTarget {
  /** The object's name at the origin, decoded: the key, unless a rule has rewritten it. */
  readonly path: Key;
  /** Raw, printable ASCII, without `?`; empty for none. */
  readonly query: string;
  /** Lower-case names. Sent to the configured host only, where they replace its own headers of the same name. */
  readonly headers: Readonly<Record<string, string>>;
  /** False: a redirect is not followed but thrown as `origin_moved`, with its target as `location`. */
  readonly followsRedirects: boolean;
}

/** One request to an origin. */
export interface OriginRequest extends OriginTarget {
  /** Names the object in messages and in provenance. */
  readonly key: Key;
  readonly method: "GET" | "HEAD";
  /**
   * The `Via` and `CDN-Loop` of the client's request, forwarded so that loops are detected. No other header of it is.
   */
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  /** Bytes; a longer declared length is refused before the head is returned (origin_too_large). */
  readonly maxBytes: number;
  /** Validators of the stored object, for a conditional request (RFC 9110 §13.1); undefined: unconditional. */
  readonly unless?: Validators | undefined;
  /** The fill's own signal: aborting ends the request and frees its connection. */
  readonly signal: AbortSignal;
  /** Called when the request has its place at an origin and is sent; with several origins perhaps once for each. */
  readonly onSend?: (() => void) | undefined;
}

/** The origin's own validators of a stored object, as received. At least one is present. */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** Status 304 to a request with `unless`: the stored bytes are still current. */
export interface NotModified {
  readonly isNotModified: true;
  /** As in OriginAnswer; undefined if the 304 does not repeat it. Equal to the one in `unless`, except for `W/`. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly life: DeclaredLife;
  readonly headMs: number;
}

/**
 * The successful response (status 200) to a request. Every other outcome is undefined (absent), NotModified or an
 * error.
 */
export interface OriginAnswer {
  readonly isNotModified: false;
  /** The URL of the response after redirects, without userinfo and query. For provenance and the log. */
  readonly url: string;
  /** Declared body length in bytes; undefined for chunked and close-delimited responses. */
  readonly size: number | undefined;
  readonly framing: Framing;
  readonly digests: DeclaredDigests;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly life: DeclaredLife;
  /** Only names of STORED_HEADERS. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds from the first dial to the response head. */
  readonly headMs: number;
  readonly body: OriginBody;
  /** Aborts, perhaps long after the end, if this may be the response to another request. */
  readonly desync: Cancellation;
}

/** A body that is paused until it is started. Its owner calls `start` once, or `destroy`. */
export interface OriginBody {
  start(sink: OriginSink): void;
  /** Continues after `data` returned false. */
  resume(): void;
  /** Ends the exchange and frees the connection; the sink gets no more calls. */
  destroy(): void;
  /** Resolves when no more bytes come from the origin, with the error that the sink gets. Never rejects. */
  readonly over: Promise<Error | undefined>;
}

/** The receiver of a body. Exactly one of `end` and `error` is called, once, last. */
export interface OriginSink {
  /** False: pause until `resume()`. */
  data(chunk: Buffer): boolean;
  /** The message ended as its framing says: length met, last chunk seen, or (`close`) the connection closed. */
  end(): void;
  /** origin_truncated, origin_timeout, origin_too_large; store_failed if the time ran out while this sink paused. */
  error(error: Error): void;
}

/** A request that is shown and not sent. */
export type PreviewRequest = Omit<OriginRequest, "maxBytes" | "signal">;

/** The first request that one origin would get; a redirect may lead elsewhere. Secrets are replaced by `***`. */
export interface OriginPreview {
  readonly method: "GET" | "HEAD";
  /** Absolute, as sent. */
  readonly url: string;
  /** Names and values; Host is present only if it is not the URL's own. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The reason why no requests are sent to it for now. */
  readonly refusal?: HuiyuanError | undefined;
  /** True: used only after the others fail. */
  readonly isStandby?: boolean;
  /** Its share of the requests among the weighted origins; 0 or undefined: it has a fixed place in the order. */
  readonly weight?: number;
}

/** Fetches from one origin. Owns its connections. */
export interface Origin {
  /** Stable for equal settings: the identity by which fills, negative entries and breakers are keyed. */
  readonly id: string;
  /**
   * Undefined: the origin says that the object does not exist (404, 410). NotModified only if `unless` was given.
   * Throws origin_timeout, origin_refused, origin_reset, origin_tls, origin_name_unknown, origin_dns_timeout,
   * origin_dns_failed, origin_blocked, origin_status, origin_unexpected, origin_head_invalid, origin_redirect,
   * origin_moved, origin_too_large, origin_encoded.
   */
  fetch(request: OriginRequest): Promise<OriginAnswer | NotModified | undefined>;
  /**
   * Returns the error that fetch() would throw at once without a request (origin_failing, origin_busy); undefined if it
   * would send one. Absent: it always sends one.
   */
  refusal?(): HuiyuanError | undefined;
  /**
   * Returns the request that fetch() would send now; for several origins, in the order of attempts. It sends nothing.
   */
  preview?(request: PreviewRequest): Promise<readonly OriginPreview[]>;
  /** Waits for running requests, then closes idle connections. A fetch between two requests gets draining. */
  close(): Promise<void>;
}
