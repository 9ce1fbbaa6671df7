// One plain HTTP request and its response: callbacks and the S3 store send them through the guarded dialer
// (serve/origin/exchange/caller.ts), which the composition root provides.

export interface HttpCall {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** Lower-case names; includes `host`, and `content-length` if there is a body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
  /** Ends the exchange, including its body. A call without a connection by then is never sent. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  /** Takes a lower-case name; the first value if a header was repeated, undefined if it was not sent. */
  header(name: string): string | undefined;
  /** The caller reads it to its end or calls `return` of its iterator. */
  readonly body: AsyncIterable<Buffer>;
}

/** Sends to one endpoint. Rejects with the error below HTTP. */
export type HttpCaller = (call: HttpCall) => Promise<HttpReply>;
