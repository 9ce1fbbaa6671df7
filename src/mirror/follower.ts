// One request's view of a fill, with its own deadlines: when they pass the request leaves and the fill goes on.
import { HuiyuanError } from "../errors.ts";
import type { Fill, FillEnd, FillHead } from "./fill.ts";

/** Milliseconds, each counted from this request's own start or its own last byte. */
export interface FollowerTimeouts {
  readonly head: number;
  readonly idle: number;
  readonly total: number;
}

export interface Follower {
  /** Undefined: the origin has no such object. Throws the fill's error, or origin_timeout when this request's time is up. */
  head(): Promise<FillHead | undefined>;
  /** The next bytes of the spool from `offset`; undefined at the end of a complete body. Throws as `head` does. */
  read(head: FillHead, offset: number): Promise<Buffer | undefined>;
  /** Waits for the fill to end. */
  end(): Promise<FillEnd>;
  /** Frees the timers. The spool's hold is the caller's own. */
  close(): void;
}

/** Joins a fill. `client` aborts when the client has left. */
export function followFill(fill: Fill, timeouts: FollowerTimeouts, client: AbortSignal): Follower {
  const patience = new AbortController();
  const { signal } = patience;
  // Not AbortSignal.any(), which costs more than all else here.
  const leave = () => patience.abort(client.reason);
  client.addEventListener("abort", leave);
  if (client.aborted) leave();
  const expire = (phase: string) => () =>
    patience.abort(new HuiyuanError("origin_timeout", `Cannot wait longer for "${fill.key}": no ${phase} in time`));
  const total = setTimeout(expire("end"), timeouts.total);
  const waiting = setTimeout(expire("first byte"), timeouts.head);
  let idle: NodeJS.Timeout | undefined;
  // Then only the client's own speed is left, and that is not the origin's time.
  void fill.done.then(() => clearTimeout(total));
  return {
    async head() {
      const head = await abortable(fill.head, signal);
      clearTimeout(waiting);
      return head;
    },
    async read({ spool }, offset) {
      const ready = spool.peek(offset);
      if (ready !== undefined) return ready;
      if (fill.end === undefined) idle = idle?.refresh() ?? setTimeout(expire("next byte"), timeouts.idle);
      const chunk = await spool.read(offset, signal);
      clearTimeout(idle);
      idle = undefined;
      return chunk;
    },
    end: () => abortable(fill.done, signal),
    close() {
      client.removeEventListener("abort", leave);
      clearTimeout(total);
      clearTimeout(waiting);
      clearTimeout(idle);
    },
  };
}

/** The promise's outcome, or the signal's reason, whichever comes first. Leaves no listener behind. */
export function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
