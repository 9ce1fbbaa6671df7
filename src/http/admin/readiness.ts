// Whether the server should be sent traffic. A store that has no room is told, but serving goes on without storing; a
// store that cannot be written at all, or a server that is stopping, is not ready.
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";

/** Whether the server may be sent traffic, and what an operator should know. */
export interface Readiness {
  readonly isReady: boolean;
  /** Why not, and what else needs attention: a refused new settings file, settings that wait for a restart. */
  readonly notes: readonly string[];
}

export interface ReadinessParts {
  /** Writes to the store; throws store_full or store_failed. */
  readonly probe: () => Promise<void>;
  readonly isDraining: () => boolean;
  /** What else an operator should know. */
  readonly notes: () => readonly string[];
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}

/** A probe costs an fsync, and anyone may ask for one. */
const PROBE_EVERY_MS = 1_000;
/** A store that takes longer is not ready. */
const PROBE_DEADLINE_MS = 2_000;

export function createReadiness({ probe, isDraining, notes, ...parts }: ReadinessParts): () => Promise<Readiness> {
  const { ticks = () => performance.now() } = parts;
  let latest: { readonly at: number; readonly failure: Promise<HuiyuanError | undefined> } | undefined;
  let isPending = false;

  function storeFailure(): Promise<HuiyuanError | undefined> {
    if (latest === undefined || (!isPending && ticks() - latest.at >= PROBE_EVERY_MS)) {
      latest = { at: ticks(), failure: failureOfProbe() };
    }
    return latest.failure;
  }

  /** Resolves at the deadline, also if the probe never does. */
  function failureOfProbe(): Promise<HuiyuanError | undefined> {
    isPending = true;
    return new Promise((resolve) => {
      const late = new HuiyuanError("store_failed", `Cannot write to the store: no answer in ${PROBE_DEADLINE_MS} ms`);
      const timer = setTimeout(() => resolve(late), PROBE_DEADLINE_MS).unref();
      probe()
        .then(
          () => resolve(undefined),
          (error: unknown) => resolve(asHuiyuanError(error)),
        )
        .finally(() => {
          clearTimeout(timer);
          isPending = false;
        });
    });
  }

  return async () => {
    const failure = isDraining() ? undefined : await storeFailure();
    // Also if the stop has begun meanwhile.
    if (isDraining()) return { isReady: false, notes: ["the server is shutting down", ...notes()] };
    if (failure === undefined) return { isReady: true, notes: notes() };
    if (failure.code !== "store_full")
      return { isReady: false, notes: [`the store cannot be written (${failure.code})`, ...notes()] };
    return { isReady: true, notes: [`no room to store more (${failure.code}); serving goes on`, ...notes()] };
  };
}
