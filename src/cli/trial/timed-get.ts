// Sends one request and measures its time. Of the body it keeps only the length.
import { request } from "node:http";
import { performance } from "node:perf_hooks";

export interface TimedAnswer {
  readonly status: number;
  /** False if the connection broke before the end of the body. */
  readonly isWhole: boolean;
  readonly bytes: number;
  /** Until the last byte. */
  readonly milliseconds: number;
  readonly cacheStatus: string;
}

const DEADLINE_MS = 60_000;

/** Sends the request to this machine. Rejects if there is no complete answer within 60 s. */
export function timedGet(target: {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  /** Default: GET. */
  readonly method?: "GET" | "HEAD";
}): Promise<TimedAnswer> {
  const { port, path, host, method = "GET" } = target;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const sent = request(
      { host: "127.0.0.1", port, path, method, headers: { host }, agent: false, signal },
      (response) => {
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.byteLength;
        });
        const finish = (isWhole: boolean) => {
          const milliseconds = performance.now() - startedAt;
          const cacheStatus = String(response.headers["cache-status"] ?? "");
          resolve({ status: response.statusCode ?? 0, isWhole, bytes, milliseconds, cacheStatus });
        };
        response.on("error", (error) => (signal.aborted ? reject(error) : finish(false)));
        response.on("end", () => finish(true));
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}
