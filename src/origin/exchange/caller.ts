// Plain requests to one endpoint through the guarded dialer, for what is no origin: the S3 store, callbacks. It signs nothing,
// retries nothing, follows nothing and has no deadline but the caller's signal.
import { Readable } from "node:stream";
import { createDialer, type Dispatcher } from "../dial/dialer.ts";
import type { Lifetime } from "../dial/lifetime.ts";
import type { Resolve } from "../dial/lookup.ts";
import { createSemaphore } from "../dial/semaphore.ts";

export interface Call {
  readonly method: Dispatcher.HttpMethod;
  /** Path and query, percent-encoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
  /** Ends the exchange, its body included. What has no connection by then is never sent. */
  readonly signal: AbortSignal;
}

export interface CallReply {
  readonly status: number;
  /** Lower-case name → value; the first where a header came several times. */
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Buffer>;
  /** Nobody will read the body: the exchange ends here. */
  discard(): void;
}

export interface Caller {
  /** Rejects with the codes of connectGuarded() and undici's errors. */
  call(call: Call): Promise<CallReply>;
  close(): Promise<void>;
}

export interface CallerOptions {
  /** Scheme, host and port count; the rest does not. */
  readonly url: string;
  /** True: this host and port may have a private address. */
  readonly allowPrivate: boolean;
  readonly connectTimeoutMs: number;
  /** At the same time; further calls wait. One is given back when the body of its answer has been read or left. */
  readonly connections: number;
  readonly resolve: Resolve;
}

export function createCaller({ url, allowPrivate, connectTimeoutMs, connections, resolve }: CallerOptions): Caller {
  const { protocol, hostname: bracketed, port: portText } = new URL(url);
  const isSecure = protocol === "https:";
  const hostname = bracketed.replace(/^\[|\]$/g, "");
  const port = portText === "" ? (isSecure ? 443 : 80) : Number(portText);
  const dialer = createDialer({ allowPrivate: () => allowPrivate, resolve, connectTimeoutMs, connections });

  const semaphore = createSemaphore(connections);

  async function takeSlot(signal: AbortSignal): Promise<() => void> {
    const lifetime = lifetimeOf(signal);
    try {
      return await semaphore.take(lifetime);
    } finally {
      lifetime.end();
    }
  }

  async function request({ method, target, headers, body, signal }: Call) {
    const release = await takeSlot(signal);
    try {
      const reply = await dialer.dispatcher({ isSecure, hostname, port, servername: undefined }).request({
        method,
        path: target,
        headers,
        body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : Readable.from(body, { objectMode: false }),
        signal,
        // The signal keeps the time.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      reply.body.once("close", release);
      return reply;
    } catch (error) {
      release();
      throw error;
    }
  }

  return {
    async call(call) {
      const reply = await request(call);
      const { headers: received } = reply;
      const header = (name: string) => {
        const value = received[name];
        return Array.isArray(value) ? value[0] : value;
      };
      const discard = () => {
        // That it has been cut short is what is wanted.
        reply.body.on("error", () => undefined).destroy();
      };
      return { status: reply.statusCode, header, body: reply.body, discard };
    },
    close: () => dialer.close(),
  };
}

/** As far as a wait for a slot needs one. */
function lifetimeOf(signal: AbortSignal): Lifetime {
  let onAbort = () => {};
  return {
    failure: signal.aborted ? signal.reason : undefined,
    watch(stop) {
      onAbort = () => stop(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort);
    },
    end: () => signal.removeEventListener("abort", onAbort),
  };
}
