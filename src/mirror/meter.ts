// What the mirror tells of its work as it happens. http/metrics.ts turns it into Prometheus series; tests count.
import type { ErrorCode } from "../core/errors.ts";

/** Called on misses only, never on a hit. */
export interface MirrorMeter {
  /** An origin fetch began. */
  fillStarted(): void;
  /** A request joined a running fill. */
  collapsed(): void;
  /** A further origin was asked, since the one before had failed. */
  failedOver(): void;
  /**
   * A request was sent to an origin once more: its connection had ended before a head came, or its body before anybody
   * had any of it.
   */
  retried(): void;
  /** A response head came after so many milliseconds. */
  originAnswered(milliseconds: number): void;
  /** A fill ended without an object: why. `not_found` included. */
  refused(code: ErrorCode | "suspect" | "max_keys"): void;
  /** The origin was asked again for a stored object, and this came of it. */
  revalidated(outcome: RevalidationResult): void;
  /** An object reached the bucket. */
  stored(bytes: number): void;
  /** A whole object could not be stored. */
  notStored(code: ErrorCode): void;
}

/**
 * `current`: the stored bytes are the origin's. `new`: others came. `gone`, `removed`: the origin has none any more,
 * and the stored one was kept or not. `suspect`, `failed`: nothing came that could replace it.
 */
export type RevalidationResult = "current" | "new" | "gone" | "removed" | "suspect" | "failed";

/** Counts nothing. */
export const SILENT_METER: MirrorMeter = {
  fillStarted() {},
  collapsed() {},
  failedOver() {},
  retried() {},
  originAnswered() {},
  refused() {},
  revalidated() {},
  stored() {},
  notStored() {},
};
