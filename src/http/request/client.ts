// Whether the client of one answer is still there. Who waits for a fill listens here; who reads a stream is given a true
// AbortSignal, which costs ten times as much and is made then.

import { CancellationSource } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { DownloadResponse } from "../response/response.ts";

/** `reason`: client_gone. */
export class Client extends CancellationSource<HuiyuanError> {
  #controller: AbortController | undefined;

  constructor(response: DownloadResponse) {
    super();
    if (response.destroyed) this.cancel(clientGone());
    else response.onceGone(() => this.cancel(clientGone()));
  }

  /** Aborts with `reason` when the client has left. */
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
