// Tells whether the client of one response is still connected. A request that waits for a fill listens here. A true
// AbortSignal costs ten times as much, so it is made only for streams.

import { CancellationSource } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { DownloadResponse } from "../response/response.ts";

/** Cancelled with client_gone when the client leaves. */
export class Client extends CancellationSource<HuiyuanError> {
  #controller: AbortController | undefined;

  constructor(response: DownloadResponse) {
    super();
    if (response.destroyed) this.cancel(clientGone());
    else response.onceGone(() => this.cancel(clientGone()));
  }

  /** The same as an AbortSignal, made on first use. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.aborted) controller.abort(this.reason);
      else this.addEventListener("abort", () => controller.abort(this.reason));
    }
    return this.#controller.signal;
  }
}

function clientGone(): HuiyuanError {
  return new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection");
}
