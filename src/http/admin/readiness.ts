// Whether the server should be sent traffic. A store that has no room is told, but serving goes on without storing; a
// store that cannot be written at all, or a server that is stopping, is not ready.
import { asHuiyuanError, type HuiyuanError } from "../../core/errors.ts";
import type { Readiness } from "./admin.ts";

export interface ReadinessParts {
  /** Writes to the store; throws store_full or store_failed. */
  readonly probe: () => Promise<void>;
  readonly isDraining: () => boolean;
  /** What else an operator should know. */
  readonly notes: () => readonly string[];
  /** As performance.now(), which is the default. */
  readonly ticks?: () => number;
}

// The probe costs an fsync, and anyone may ask.
const PROBE_MS = 1_000;

export function createReadiness({ probe, isDraining, notes, ...parts }: ReadinessParts): () => Promise<Readiness> {
  const { ticks = () => performance.now() } = parts;
  let probed: { readonly at: number; readonly failure: Promise<HuiyuanError | undefined> } | undefined;

  function storeFailure(): Promise<HuiyuanError | undefined> {
    if (probed === undefined || ticks() - probed.at >= PROBE_MS) {
      probed = { at: ticks(), failure: probe().then(() => undefined, asHuiyuanError) };
    }
    return probed.failure;
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
