import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseInstruction } from "../../../../../src/serve/image/grammar/grammar.ts";
import type { PipelineRequest } from "../../../../../src/serve/image/process/pipeline.ts";
import {
  createRenderPool,
  PROCESS_BYTES,
  type RenderPool,
} from "../../../../../src/serve/image/workers/render-pool.ts";
import { eventually } from "../../../../helpers/program.ts";
import { LIMITS, RED, readSource, shownAs, solid } from "../../../../helpers/rendering.ts";

const MAX_BYTES = 320 * 1024 * 1024;
const IDLE = { idleMs: 30_000, lastIdleMs: 60_000 };
const OPTIONS = { startMs: 10_000, renderMs: 5000, maxResidentBytes: MAX_BYTES, maxTotalBytes: MAX_BYTES, ...IDLE };
/** A recipe that takes a second or more. */
const SLOW = `imageMogr2${"/blur/50x50".repeat(8)}`;

let [small, large]: Buffer[] = [];
beforeAll(async () => {
  small = await solid(100, 100, RED).jpeg().toBuffer();
  large = await solid(3000, 3000, RED).png().toBuffer();
});
let pool: RenderPool | undefined;
afterEach(() => pool?.close());

function request(bytes: Buffer | undefined, text: string): PipelineRequest {
  if (bytes === undefined) throw new Error("Cannot render: there is no picture yet");
  const recipe = parseInstruction(text, { era: 2015 });
  return { bytes, facts: readSource(bytes, LIMITS), recipe, watermarks: new Map(), limits: LIMITS };
}

const thumbnail = () => request(small, "imageView2/2/w/50");

test("idle processes are killed if a busy one needs their memory", async () => {
  pool = createRenderPool(OPTIONS);
  const both = () => Promise.all([pool?.render(thumbnail(), 0), pool?.render(thumbnail(), 0)]);
  await both();
  expect(pool.size).toBe(2);
  await both();
  expect(pool.size).toBe(2);
  await pool.render(thumbnail(), MAX_BYTES - PROCESS_BYTES);
  await eventually(() => pool?.size === 1, "one process alone is left");
});

test("an idle process ends after a while", async () => {
  pool = createRenderPool({ ...OPTIONS, idleMs: 1_000 });
  await pool.render(thumbnail(), 0);
  expect(pool.size).toBe(1);
  await eventually(() => pool?.size === 0, "no process is left");
});

describe.skipIf(process.platform !== "linux")("faults of a process", () => {
  /** Process ids of the render processes of this process. */
  function processes(): number[] {
    const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return numbers.map(Number).filter((pid) => {
      try {
        const isOwn = new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(readFileSync(`/proc/${pid}/status`, "latin1"));
        return isOwn && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("render-process");
      } catch {
        return false; // ended
      }
    });
  }

  async function signalTo(signal: NodeJS.Signals, other?: number): Promise<number> {
    await eventually(() => processes().some((pid) => pid !== other), "a process renders");
    await after(300);
    const [pid = 0] = processes().filter((found) => found !== other);
    process.kill(pid, signal);
    return pid;
  }

  /** The process that was just started, before it is ready. */
  function stopProcess(): number {
    const [pid = 0] = processes();
    process.kill(pid, "SIGSTOP");
    return pid;
  }

  test("the start of a process does not count as time of the image", async () => {
    pool = createRenderPool({ ...OPTIONS, renderMs: 1_000 });
    const rendered = pool.render(thumbnail(), 0);
    const pid = stopProcess();
    await after(1_500);
    process.kill(pid, "SIGCONT");
    expect(shownAs(await rendered).image.width).toBe(50);
    expect(processes()).toEqual([pid]);
  });

  test("a process that does not become ready is killed, and another one renders", async () => {
    pool = createRenderPool({ ...OPTIONS, startMs: 2_000 });
    const rendered = pool.render(thumbnail(), 0);
    const pid = stopProcess();
    expect(shownAs(await rendered).image.width).toBe(50);
    expect(processes()).not.toContain(pid);
  });

  test("an image that takes too long is refused, and its process is killed", async () => {
    pool = createRenderPool({ ...OPTIONS, renderMs: 200 });
    await expect(pool.render(request(large, SLOW), 0)).rejects.toMatchObject({ code: "render_timeout" });
    await eventually(() => pool?.size === 0, "no process is left");
  });

  test("an image whose process was killed from outside is rendered by another one", async () => {
    pool = createRenderPool({ ...OPTIONS, renderMs: 20_000 });
    const rendered = pool.render(request(large, SLOW), 0);
    await signalTo("SIGKILL");
    expect(shownAs(await rendered).image.width).toBe(3000);
  });

  test("an image that ended two processes is refused", async () => {
    pool = createRenderPool({ ...OPTIONS, renderMs: 20_000 });
    const failed = expect(pool.render(request(large, SLOW), 0)).rejects.toMatchObject({ code: "render_failed" });
    await signalTo("SIGKILL", await signalTo("SIGKILL"));
    await failed;
    expect(shownAs(await pool.render(thumbnail(), 0)).image.width).toBe(50);
  });
});
