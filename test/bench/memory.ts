// Measures the process's memory: at rest, and while many large bodies arrive slowly at once.
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Bench, Outcome, Target } from "./case.ts";
import { among, startHuiyuan } from "./contenders.ts";
import { idle, residentBytes } from "./processes.ts";

export const MB = 1_000_000;
const REST_MS = 3_000;

export function atRest({ place }: Bench): Promise<Outcome> {
  return among([() => startHuiyuan(place)], async ([huiyuan]) => {
    await idle(huiyuan.pid);
    await delay(REST_MS);
    return memory("memory at rest (RSS)", residentBytes(huiyuan.pid).now, { must: 120, aim: 80 });
  });
}

/** One reading client per fill; measures the process's peak memory. */
export function slowFills({ place, effort }: Bench): Promise<Outcome> {
  const [fills, bytes, seconds] = effort.isQuick ? [100, 4_000_000, 5] : [200, 20_000_000, 40];
  const origin = { type: "site", url: `http://127.0.0.1:${place.originPort}`, allowPrivate: true, connections: fills };
  const mirror = { origins: [origin], timeouts: { total: "300s" } };
  return among([() => startHuiyuan({ ...place, mirror })], async ([huiyuan]) => {
    const paths = Array.from({ length: fills }, (_, index) => `/slow/${bytes}/${seconds}/${index}.jpg`);
    const received = await Promise.all(paths.map((path) => lengthOf(huiyuan.port, path)));
    const short = received.filter((length) => length !== bytes).length;
    if (short > 0) throw new Error(`${short} of ${fills} slow answers were not whole`);
    await idle(huiyuan.pid);
    const title = `memory with ${fills} slow fills of ${bytes / MB} MB (peak RSS)`;
    return memory(title, residentBytes(huiyuan.pid).peak, { must: 400, aim: 250 });
  });
}

export function memory(title: string, bytes: number, target: Target): Outcome {
  return { title, figures: [], verdicts: [{ what: title, value: bytes / MB, unit: "MB", target }] };
}

/** Reads and discards a response; returns its length, or -1 unless it is 200 and whole. */
function lengthOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      response.on("error", () => resolve(-1));
      response.on("close", () => resolve(response.complete && response.statusCode === 200 ? length : -1));
    });
    sent.on("error", reject);
    sent.end();
  });
}
