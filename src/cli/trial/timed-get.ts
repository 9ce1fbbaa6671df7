// One request, timed: for commands that show what a request does. Keeps nothing of the body but its length.
import { request } from "node:http";
import { performance } from "node:perf_hooks";

export interface TimedAnswer {
  readonly status: number;
  /** False: the connection broke before the body's end. */
  readonly isWhole: boolean;
  readonly bytes: number;
  /** To the last byte. */
  readonly milliseconds: number;
  readonly cacheStatus: string;
}

const DEADLINE_MS = 60_000;

/** Asks this machine. Rejects when there is no answer, or no end of it within 60 s. */
export function timedGet(target: {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  /** GET unless it says otherwise. */
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
