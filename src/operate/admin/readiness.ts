// Decides whether the server may be sent traffic. It is not ready while it stops, or if the store cannot be written.
// With a full store it stays ready: serving continues without storing.
import { withTimeout } from "../../async/cancellation.ts";
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";

/** Whether the server may be sent traffic, with notes for operators. */
export interface Readiness {
  readonly isReady: boolean;
  /** The reason if it is not ready, and other notes: a refused settings file, settings that wait for a restart. */
  readonly notes: readonly string[];
}

export interface ReadinessParts {
  /** Writes to the store. Throws store_full, store_failed. */
  readonly probe: () => Promise<void>;
  readonly isDraining: () => boolean;
  /** Further notes for operators. */
  readonly notes: () => readonly string[];
}

/** At most one probe in this time: it costs an fsync, and every client can request it. */
const PROBE_EVERY_MS = 1_000;
/** The store is not ready if a probe takes longer. */
const PROBE_DEADLINE_MS = 2_000;

export function createReadiness({ probe, isDraining, notes }: ReadinessParts): () => Promise<Readiness> {
  let latest: { readonly at: number; readonly failure: Promise<HuiyuanError | undefined> } | undefined;
  let isPending = false;

  function storeFailure(): Promise<HuiyuanError | undefined> {
    if (latest === undefined || (!isPending && performance.now() - latest.at >= PROBE_EVERY_MS)) {
      isPending = true;
      const probed = probe().finally(() => {
        isPending = false;
      });
      // It may never end.
      const inTime = withTimeout(PROBE_DEADLINE_MS, probed, `Cannot write to the store in ${PROBE_DEADLINE_MS} ms`);
      latest = { at: performance.now(), failure: inTime.then(() => undefined, asHuiyuanError) };
    }
    return latest.failure;
  }

  return async () => {
    const failure = isDraining() ? undefined : await storeFailure();
    // The stop may have begun during the probe.
    if (isDraining()) return { isReady: false, notes: ["the server is shutting down", ...notes()] };
    if (failure === undefined) return { isReady: true, notes: notes() };
    if (failure.code !== "store_full")
      return { isReady: false, notes: [`the store cannot be written (${failure.code})`, ...notes()] };
    return { isReady: true, notes: [`no room to store more (${failure.code}); serving goes on`, ...notes()] };
  };
}
