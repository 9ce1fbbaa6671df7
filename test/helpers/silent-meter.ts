// The meter of a mirror whose events no test reads.
import type { MirrorMeter } from "../../src/serve/mirror/meter.ts";

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
