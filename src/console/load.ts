// Values that a page loads from the API: loading, right now, stale, or failed. A value stays on the page while a newer
// one is loaded, so that nothing jumps.
import { type ReadonlySignal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { Problem } from "./api.ts";

export interface Loaded<Value> {
  /** Undefined until the first answer. */
  readonly value: Value | undefined;
  /** Why the last try failed; an older value may be there beside it. */
  readonly problem: Problem | undefined;
  readonly isLoading: boolean;
}

/**
 * Loads again when signals that `load` reads change, when `reload` is called, and every `everyMs` while the page is
 * visible.
 */
export function useLoaded<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  { everyMs }: { readonly everyMs?: number } = {},
): { readonly state: ReadonlySignal<Loaded<Value>>; readonly reload: () => void } {
  const state = useSignal<Loaded<Value>>({ value: undefined, problem: undefined, isLoading: true });
  const turn = useSignal(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => {
    turn.value += 1;
  }, [turn]);
  useSignalEffect(() => {
    void turn.value;
    const controller = new AbortController();
    state.value = { ...state.peek(), isLoading: true };
    latest.current(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) state.value = { value, problem: undefined, isLoading: false };
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, { message: String(error) });
        state.value = { ...state.peek(), problem, isLoading: false };
      },
    );
    return () => controller.abort();
  });
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  return { state: useComputed(() => state.value), reload };
}
