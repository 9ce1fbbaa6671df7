// A client of the download port that sends its request target byte for byte, and tells a whole response from a broken
// one.
import { type IncomingHttpHeaders, request } from "node:http";

export interface GetOptions {
  readonly port: number;
  /** The request target, raw. */
  readonly path: string;
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The address of this client, such as 127.0.0.2; default: the system's choice. */
  readonly localAddress?: string;
  /** Disconnects after this many body bytes. */
  readonly leaveAfter?: number;
  /** Called when the response head has arrived. */
  readonly onHead?: () => void;
  /** Milliseconds; default 30 s. */
  readonly deadlineMs?: number;
}

export interface GetResult {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** False if the connection broke before the end, or this client disconnected. */
  readonly isWhole: boolean;
}

/** Rejects only if no response head arrived. */
export function get(options: GetOptions): Promise<GetResult> {
  const {
    port,
    path,
    host = "any.example",
    method = "GET",
    headers = {},
    leaveAfter = Number.POSITIVE_INFINITY,
  } = options;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(options.deadlineMs ?? 30_000);
    const sent = request({
      host: "127.0.0.1",
      port,
      path,
      method,
      headers: { host, ...headers },
      agent: false,
      signal,
      ...(options.localAddress !== undefined && { localAddress: options.localAddress }),
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      options.onHead?.();
      const parts: Buffer[] = [];
      let received = 0;
      const settle = (isWhole: boolean) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts), isWhole });
      response.on("data", (part: Buffer) => {
        parts.push(part);
        received += part.byteLength;
        if (received < leaveAfter) return;
        settle(false);
        sent.destroy();
      });
      response.on("end", () => settle(response.complete));
      response.on("error", () => settle(false));
      response.on("close", () => settle(response.complete));
    });
    sent.end();
  });
}

/** Encodes a key as a request path, as clients do: percent-encodes everything but unreserved characters and `/`. */
export function pathOf(key: string): string {
  return `/${key.split("/").map(encodeURIComponent).join("/")}`;
}
