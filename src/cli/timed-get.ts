// One GET, timed: for commands that show what a request does. Keeps nothing of the body but its length.
import { request } from "node:http";
import { performance } from "node:perf_hooks";

export interface TimedAnswer {
  readonly status: number;
  readonly bytes: number;
  /** To the last byte. */
  readonly milliseconds: number;
  readonly cacheStatus: string;
}

const DEADLINE_MS = 60_000;

/** Asks this machine. Rejects when the connection breaks or 60 s have passed. */
export function timedGet(target: {
  readonly port: number;
  readonly path: string;
  readonly host: string;
}): Promise<TimedAnswer> {
  const { port, path, host } = target;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    const sent = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false, signal }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.byteLength;
      });
      response.on("error", reject);
      response.on("end", () => {
        const milliseconds = performance.now() - startedAt;
        const cacheStatus = String(response.headers["cache-status"] ?? "");
        resolve({ status: response.statusCode ?? 0, bytes, milliseconds, cacheStatus });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}
