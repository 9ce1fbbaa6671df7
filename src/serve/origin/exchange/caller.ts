// Plain requests to one endpoint through the guarded dialer, for services that are not origins: the S3 store,
// callbacks. It signs nothing, retries nothing and follows nothing; the only deadline is the caller's signal.
import { Readable } from "node:stream";
import { createSemaphore } from "../../../async/semaphore.ts";
import type { HttpCall, HttpReply } from "../../../core/http-call.ts";
import { createDialer } from "../dial/dialer.ts";
import type { Resolve } from "../dial/lookup.ts";
import { endpointOf } from "./hop.ts";

export interface CallReply extends HttpReply {
  /** Ends the exchange when the body is not needed. */
  discard(): void;
}

export interface Caller {
  /** Rejects with the codes of connectGuarded() and undici's errors. */
  call(call: HttpCall): Promise<CallReply>;
  close(): Promise<void>;
}

export interface CallerOptions {
  /** Only scheme, host and port are used. */
  readonly url: string;
  /** True: this host and port may have a private address. */
  readonly allowPrivate: boolean;
  readonly connectTimeoutMs: number;
  /**
   * The most simultaneous calls; further ones wait. A slot is released when the response body was read or discarded.
   */
  readonly connections: number;
  readonly resolve: Resolve;
}

export function createCaller({ url, allowPrivate, connectTimeoutMs, connections, resolve }: CallerOptions): Caller {
  const server = endpointOf(new URL(url));
  const dialer = createDialer({ allowPrivate: () => allowPrivate, resolve, connectTimeoutMs, connections });
  // undici has a queue of its own, but requests cannot leave it. After an outage, live requests would stand behind dead
  // ones, each of which costs a dial.
  const places = createSemaphore(connections);

  async function request({ method, target, headers, body, signal }: HttpCall) {
    const release = await places.acquire(signal);
    try {
      const reply = await dialer.dispatcher(server).request({
        method,
        path: target,
        headers,
        body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : Readable.from(body, { objectMode: false }),
        signal,
        // The caller's signal is the deadline.
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
      const { statusCode: status, headers, body } = await request(call);
      const header = (name: string) => [headers[name]].flat()[0];
      // Ignores the error of the aborted body, which is expected.
      const discard = () => void body.on("error", () => undefined).destroy();
      return { status, header, body, discard };
    },
    close: () => dialer.close(),
  };
}
