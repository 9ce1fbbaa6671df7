// The events that a mirror reports to the metrics. operate/admin/metrics.ts turns them into Prometheus series; tests
// count them.
import type { ErrorCode } from "../../core/errors.ts";
import type { RevalidationKind } from "./policy.ts";

/** Called on misses only, never on a hit. */
export interface MirrorMeter {
  /** An origin fetch began. */
  fillStarted(): void;
  /** A request joined a running fill. */
  collapsed(): void;
  /** A further origin was tried, because the one before had failed. */
  failedOver(): void;
  /**
   * A request was repeated: its connection had ended before the head, or its body before any client had received a
   * byte.
   */
  retried(): void;
  /** A response head arrived after this time. */
  originAnswered(milliseconds: number): void;
  /** A fill ended without a storable object, for this reason; includes `not_found`. */
  refused(code: ErrorCode | "suspect" | "max_keys"): void;
  /** A stored object was revalidated, with this result. */
  revalidated(outcome: RevalidationKind): void;
  /** An object reached the bucket. */
  stored(bytes: number): void;
  /** A whole object could not be stored. */
  notStored(code: ErrorCode): void;
}
