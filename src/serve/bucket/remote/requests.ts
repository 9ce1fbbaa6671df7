// The contract of one remote store's requests: all that a new backend implements. bucket.ts makes buckets of them.
import type { ByteSource, ListedObject, RemoteCondition } from "./remote.ts";

/** Media type and metadata of an object. Names are lower-case, values printable ASCII, together at most 2,000 bytes. */
export interface Description {
  readonly contentType: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** One object as the store describes it. */
export interface RemoteHead {
  /** A metadata value by its lower-case name. */
  field(name: string): string | undefined;
  /** Undefined if the store did not send it, which is not the same as 0. */
  readonly size: number | undefined;
  /** Unix milliseconds; 0 if unknown. */
  readonly modifiedAt: number;
  /** Never empty. Two versions with different bytes have different texts. */
  readonly version: string;
}

/** Conditional puts that the store obeys. */
export interface ObeyedConditions {
  readonly absent: boolean;
  readonly version: boolean;
}

export interface NamePage {
  readonly names: readonly ListedObject[];
  readonly isEnd: boolean;
}

/**
 * Requests by the name of an object. Each has a deadline and its own retries. Throws store_failed, store_full. An
 * object is reported as absent only if the store itself says so: an answer of anything in front of it is store_failed.
 */
export interface RemoteRequests {
  /** Undefined: absent. */
  head(name: string): Promise<RemoteHead | undefined>;
  /** The bytes as they arrive; undefined if the object is absent or has another version. */
  get(name: string, version: string | undefined): Promise<AsyncIterable<Buffer> | undefined>;
  /**
   * Stores all bytes or none. False: the condition did not hold at some attempt. An earlier attempt may have stored the
   * object and lost its response, so the caller looks it up. A condition that the store ignores is not sent.
   */
  put(name: string, source: ByteSource, description: Description, condition: RemoteCondition): Promise<boolean>;
  /** Copies that version inside the store. False: `from` no longer has it. */
  copy(from: string, version: string, to: string, description: Description): Promise<boolean>;
  /** Removes whatever is there. False: it is not certain. */
  remove(name: string): Promise<boolean>;
  /** Names with the prefix behind `after`, in ascending order of UTF-8 bytes; the store may send fewer than `limit`. */
  list(options: {
    readonly prefix: string;
    readonly after: string | undefined;
    readonly limit: number;
  }): Promise<NamePage>;
  /** Found out once. */
  conditions(): Promise<ObeyedConditions>;
}
