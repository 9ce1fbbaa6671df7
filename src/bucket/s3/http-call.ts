// The HTTP interface of the S3 store: a function that sends one request through the guarded dialer. The composition
// root provides it, because bucket/ must not import origin/.

export interface HttpCall {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** Lower-case names; includes `host`, and `content-length` if there is a body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
  /** Aborts the exchange, including its body. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly status: number;
  /** Takes a lower-case name; undefined if the header was not sent. */
  header(name: string): string | undefined;
  /** The caller reads it to its end or calls `return` of its iterator. */
  readonly body: AsyncIterable<Buffer>;
}

/** Sends to one endpoint. Rejects with the error below HTTP. */
export type HttpCaller = (call: HttpCall) => Promise<HttpReply>;
