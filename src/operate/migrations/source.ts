// The interface of a migration source: a lister of objects, and a reader of one object. The runner knows nothing else
// of a vendor. sources/ implements it; test/contract/migration-source.ts is its specification.
import type { NotModified, OriginAnswer, OriginRequest } from "../../serve/origin/origin.ts";

/** One object of a source, as its listing describes it. */
export interface SourceObject {
  /** Name at the target, before the filters. It may be no valid key; the runner reports that as a failure. */
  readonly fileid: string;
  /** Finds the object again: an absolute path, a URL or a key. The journal stores it, with a URL's query. */
  readonly locator: string;
  /** Bytes; undefined if the listing does not say. */
  readonly size: number | undefined;
  /** Differs if the object changed: a time, an ETag or a hash. Undefined if the listing does not say. */
  readonly version: string | undefined;
}

/** A name that the source has, and that cannot become an object. */
export interface UnlistedObject {
  /** Printable, on one line. */
  readonly shown: string;
  /** It is a folder, or may be one: the filters say nothing of the names that it holds. */
  readonly mayHoldNames?: true;
  readonly reason: string;
}

/** A part of a listing, of bounded size. */
export interface SourcePage {
  readonly objects: readonly SourceObject[];
  readonly failures: readonly UnlistedObject[];
  /** Continues the listing behind this page. Undefined: only a listing from the beginning can continue. */
  readonly cursor: string | undefined;
}

/** `unless`: a 304 says that the stored version is current. */
export interface SourceRequest extends Pick<OriginRequest, "unless" | "maxBytes" | "signal"> {
  readonly object: Pick<SourceObject, "fileid" | "locator">;
}

export interface Source {
  /** Whether a page's cursor outlives the process. */
  readonly isResumable: boolean;
  /**
   * Yields the listing in pages, from the beginning or behind `after`. It is complete when the iteration ends. A
   * listing that fails throws: it never ends early. Throws the codes of Origin.fetch(), store_failed, request_invalid.
   */
  list(after: string | undefined, signal: AbortSignal): AsyncIterable<SourcePage>;
  /** As Origin.fetch(): undefined if the object does not exist any more. */
  fetch(request: SourceRequest): Promise<OriginAnswer | NotModified | undefined>;
  close(): Promise<void>;
}
