// Loaded into the program by `--import`. Writes how long the event loop computes in one turn, in milliseconds of the
// main thread's own CPU time, which other programs do not change. Linux only.
import { appendFileSync, openSync, readSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const LEAST_MS = 15;

if (isMainThread) {
  const clock = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const buffer = Buffer.alloc(80);
  const cpuMs = () => Number(buffer.toString("latin1", 0, readSync(clock, buffer, 0, 80, 0)).split(" ", 1)[0]) / 1e6;
  let last = cpuMs();
  setInterval(() => {
    const held = cpuMs() - last;
    if (held >= LEAST_MS) appendFileSync(process.env.LOOP_HOLDS ?? "", `${held}\n`);
    last = cpuMs();
  }, 1).unref();
}
