// Values that a page loads from the API: loading, right now, stale, or failed. A value stays on the page while a newer
// one is loaded, so that nothing jumps. And calls that a person starts: running, or failed.
import { type ReadonlySignal, useSignal, useSignalEffect } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { type Problem, problemOf } from "./api.ts";

export interface Loaded<Value> {
  /** Undefined until the first answer. */
  readonly value: Value | undefined;
  /** Why the last try failed; an older value may be there beside it. */
  readonly problem: Problem | undefined;
  readonly isLoading: boolean;
}

/**
 * Loads again when signals that `load` reads change, when `reload` is called, and every `everyMs` while the page is
 * visible. An answer that takes longer is waited for.
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
        state.value = { ...state.peek(), problem: problemOf(error), isLoading: false };
      },
    );
    return () => controller.abort();
  });
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const isDue = () => document.visibilityState === "visible" && !state.peek().isLoading;
    const timer = setInterval(() => isDue() && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  return { state, reload };
}

/** `run` yields undefined if the call fails; `problem` says why, until the next one. */
export function useCall() {
  const problem = useSignal<Problem | undefined>(undefined);
  const isRunning = useSignal(false);
  const run = async <Value>(call: () => Promise<Value>): Promise<Value | undefined> => {
    [problem.value, isRunning.value] = [undefined, true];
    try {
      return await call();
    } catch (error) {
      problem.value = problemOf(error);
      return undefined;
    } finally {
      isRunning.value = false;
    }
  };
  return { problem, isRunning, run };
}

/** A handler for `onSubmit`: the browser sends nothing, and `take` gets what is filled in. */
export function submitting(take: (data: FormData, form: HTMLFormElement) => unknown) {
  return (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void take(new FormData(form), form);
  };
}
