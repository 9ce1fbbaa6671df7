// The one thing that the S3 store needs of the network: a function that sends a request through the guarded dialer. It is
// given by app.ts, since the rooms of buckets and origins do not know each other.

export interface HttpCall {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** Lower-case names; with `host`, and with `content-length` where there is a body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
  /** Ends the exchange, its body included. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  /** Lower-case name → value; undefined where it was not sent. */
  header(name: string): string | undefined;
  /** To be read to its end, or left by `return` of its iterator. */
  readonly body: AsyncIterable<Buffer>;
}

/** Sends to one endpoint. Rejects with whatever went wrong below HTTP. */
export type HttpCaller = (call: HttpCall) => Promise<HttpReply>;
