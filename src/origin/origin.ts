// What every origin is to the rest of the program: something that is asked for one key and answers with a body that
// still arrives. Sites, clouds and mirrors all have this shape. Nothing here knows a protocol.
import type { DeclaredDigests, Framing } from "../body/gate/gate.ts";
import type { HuiyuanError } from "../core/errors.ts";
import type { DeclaredLife, Key } from "../core/object.ts";
import type { Desync } from "./dial/desync.ts";

/** What is asked for at an origin; decided by the rules of the mirror source, never by the client alone. */
export interface OriginTarget {
  /** The object's name there, decoded: the key, unless a rule has rewritten it. */
  readonly path: Key;
  /** Raw, printable ASCII, without `?`; empty for none. */
  readonly query: string;
  /** Lower-case names. For the configured host alone, instead of its own headers of the same name. */
  readonly headers: Readonly<Record<string, string>>;
  /** False: a redirect is not followed but thrown as `origin_moved`, with its place as `location`. */
  readonly followsRedirects: boolean;
}

/** One question to an origin. */
export interface OriginRequest extends OriginTarget {
  /** Names the object in messages and in provenance. */
  readonly key: Key;
  readonly method: "GET" | "HEAD";
  /** The `Via` and `CDN-Loop` of the client's request, carried on so that loops are seen; nothing else of it is. */
  readonly via: string | undefined;
  readonly cdnLoop: string | undefined;
  /** Bytes; a longer declared length is refused before the head is given out (origin_too_large). */
  readonly maxBytes: number;
  /** Only what has changed since is wanted (RFC 9110 §13.1); undefined: whatever there is. */
  readonly unless?: Validators | undefined;
  /** The fill's own signal: aborting ends the request and frees its connection. */
  readonly signal: AbortSignal;
}

/** The origin's own validators of a stored object, as received. At least one is there. */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** Status 304 to a request with `unless`: the stored bytes are still the origin's. */
export interface NotModified {
  readonly isNotModified: true;
  /** As in OriginAnswer; undefined where the 304 does not repeat it. Never another than `unless` has, but for `W/`. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly life: DeclaredLife;
  readonly headMs: number;
}

/** The good answer (status 200) to a request. Everything else is undefined (absent), NotModified or an error. */
export interface OriginAnswer {
  readonly isNotModified: false;
  /** Where the answer came from after redirects; without userinfo and query. For provenance and the log. */
  readonly url: string;
  /** Declared body length in bytes; undefined for chunked and close-delimited answers. */
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
  /** Whether it may be the answer to another request; undefined: surely not. */
  readonly desync?: Desync | undefined;
}

/** A body that is paused until someone takes it. Its owner calls `start` once, or `destroy`. */
export interface OriginBody {
  start(sink: OriginSink): void;
  /** Go on after `data` returned false. */
  resume(): void;
  /** Ends the exchange and frees the connection; the sink hears nothing more. */
  destroy(): void;
}

/** Who receives a body. Exactly one of `end` and `error` is called, once, last. */
export interface OriginSink {
  /** False: pause until `resume()`. */
  data(chunk: Buffer): boolean;
  /** The message ended as its framing says: length met, last chunk seen, or (`close`) the connection closed. */
  end(): void;
  /** origin_truncated, origin_timeout, origin_too_large; store_failed where the time ran out while this sink paused. */
  error(error: Error): void;
}

/** A question that is only looked at. */
export type PreviewRequest = Omit<OriginRequest, "maxBytes" | "signal">;

/** What one place would be sent first; a redirect may lead elsewhere. Secrets are replaced by `***`. */
export interface OriginPreview {
  readonly method: "GET" | "HEAD";
  /** Absolute, as sent. */
  readonly url: string;
  /** Names and values; Host is there only where it is not the URL's own. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Why it is passed over for the moment. */
  readonly refusal?: HuiyuanError | undefined;
  /** Asked only after the others. */
  readonly isStandby?: boolean;
  /** Share of the requests among those that have one; 0 or undefined: it has its own place in the order. */
  readonly weight?: number;
}

/** Asks one place. Owns its connections. */
export interface Origin {
  /** Stable for equal settings: the identity that fills, negative entries and breakers are keyed by. */
  readonly id: string;
  /**
   * Undefined: the origin says that there is no such object (404, 410). NotModified only where `unless` was given.
   * Throws origin_timeout, origin_refused, origin_reset, origin_tls, origin_name_unknown, origin_dns_timeout,
   * origin_dns_failed, origin_blocked, origin_status, origin_unexpected, origin_head_invalid, origin_redirect,
   * origin_moved, origin_too_large, origin_encoded.
   */
  fetch(request: OriginRequest): Promise<OriginAnswer | NotModified | undefined>;
  /**
   * What fetch() would throw at once, asking nobody (origin_failing, origin_busy); undefined while it would ask. Absent:
   * it always asks.
   */
  refusal?(): HuiyuanError | undefined;
  /** What fetch() would send now, and to whom; of several places in the order in which they may be asked. It asks nobody. */
  preview?(request: PreviewRequest): Promise<readonly OriginPreview[]>;
  /** Lets running fetches end, then closes idle connections. */
  close(): Promise<void>;
}
