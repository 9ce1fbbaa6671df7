// Whether the client of one answer is still there. Who waits for a fill listens here; who reads a stream is given a true
// AbortSignal, which costs ten times as much and is made then.
import { HuiyuanError } from "../errors.ts";
import type { Leaving } from "../leaving.ts";
import type { DownloadResponse } from "./response.ts";

/** A class, since one is made for every miss. */
export class Client implements Leaving {
  aborted = false;
  /** client_gone, once `aborted`. */
  reason: HuiyuanError | undefined;
  #listeners: Set<() => void> | undefined;
  #controller: AbortController | undefined;

  constructor(response: DownloadResponse) {
    if (response.destroyed) this.#leave();
    else response.onceGone(() => this.#leave());
  }

  addEventListener(_event: "abort", listener: () => void): void {
    if (this.aborted) return;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_event: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** Aborts with `reason` when the client has left. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  #leave(): void {
    this.aborted = true;
    this.reason = new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection");
    const listeners = this.#listeners ?? [];
    this.#listeners = undefined;
    for (const listener of listeners) listener();
    this.#controller?.abort(this.reason);
  }
}
