// Every setting under `limits` takes effect with a reload: each test observes its bound before and after.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import type { Settings } from "../../src/settings/schema/schema.ts";
import { type GetResult, get } from "../helpers/get.ts";
import { animatedGif, noisyBmp, noisyJpeg, segment } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let atOnce = 0;
let mostAtOnce = 0;
let pictures = 0;

beforeAll(async () => {
  const jpeg = await noisyJpeg(2_000, 2_000);
  /** Each picture has different bytes, so that its variants were not rendered before. */
  const bodies: Record<Name, (number: number) => Buffer | Promise<Buffer>> = {
    small: (number) => noisyBmp(60, 60 + number),
    large: (number) => noisyBmp(400, 500 + number),
    larger: (number) => noisyBmp(600, 700 + number),
    jpeg: (number) => Buffer.concat([jpeg.subarray(0, 2), segment(0xfe, Buffer.from(`${number}`)), jpeg.subarray(2)]),
    gif: (number) => animatedGif(40 + number, 30, 3),
  };
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    const [, name, number] = /^\/(\w+)-(\d+)/.exec(target) ?? [];
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    const whole = response(await bodies[name as Name](Number(number)));
    if (!target.endsWith("slow")) await connection.send(whole);
    else {
      await connection.send(whole.subarray(0, 5_000));
      await connection.pause(400);
      await connection.send(whole.subarray(5_000));
    }
    atOnce -= 1;
  });
  installation = await install({});
  await put({});
  program = await installation.start();
}, 60_000);
afterAll(async () => {
  await program?.kill();
  await origin?.close();
  await installation?.remove();
});

const put = (limits: object) => installation.write(oneBucket(mirrorOf(origin.url), {}, { limits }));

type Name = "small" | "large" | "larger" | "jpeg" | "gif";

/** The path of a picture that was not requested before. */
function picture(name: Name): string {
  pictures += 1;
  return `/${name}-${pictures}`;
}

const ask = (path: string): Promise<GetResult> => get({ port: program.downloadPort, path });

/** The tier that serves a hit, once the object is no longer pending. */
async function tierOf(path: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    const { headers } = await ask(path);
    const tier = /detail=(\w+)/.exec(String(headers["cache-status"]))?.[1] ?? "origin";
    if (tries > 0 && ((tier !== "origin" && tier !== "spool") || tries === 24)) return tier;
    await delay(50);
  }
}

async function gauge(name: string): Promise<number> {
  const { body } = await get({ port: program.adminPort, path: "/metrics", host: "127.0.0.1" });
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(body.toString())?.[1]);
}

const statusOf = async (path: string) => (await ask(path)).status;
/** A single one is done in 100 ms on a fast core. */
const SLOW = `imageMogr2${"/blur/50x25".repeat(8)}`;

interface Row {
  readonly before: object;
  readonly after: object;
  /** Observes the limit's effect, with new pictures. */
  readonly see: () => Promise<unknown>;
  readonly seen: readonly [before: unknown, after: unknown];
}

const ROWS: Readonly<Record<keyof Settings["limits"], Row>> = {
  memory: {
    before: {},
    after: { memory: "1MiB" },
    async see() {
      const path = picture("larger");
      // A picture of this size enters memory on its second read.
      await tierOf(path);
      return tierOf(path);
    },
    seen: ["memory", "bucket"],
  },
  hotObjectSize: {
    before: {},
    after: { hotObjectSize: "1KB" },
    see: () => tierOf(picture("small")),
    seen: ["memory", "bucket"],
  },
  disk: {
    before: { hotObjectSize: "1KB" },
    after: { hotObjectSize: "1KB", disk: "1MiB" },
    async see() {
      const path = picture("large");
      const variants = [400, 399, 398, 397].map((side) => `${path}?imageMogr2/thumbnail/${side}x/format/png`);
      for (const variant of variants) await ask(variant);
      await delay(600);
      return tierOf(variants[0] ?? "");
    },
    seen: ["bucket", "rendered"],
  },
  objectSize: {
    before: {},
    after: { objectSize: "100KB" },
    see: () => statusOf(picture("large")),
    seen: [200, 424],
  },
  perClient: {
    before: {},
    after: { perClient: { requestsPerSecond: 0.01, burst: 1 } },
    async see() {
      await statusOf(picture("small"));
      return statusOf(picture("small"));
    },
    seen: [200, 429],
  },
  imagePixels: {
    before: {},
    after: { imagePixels: 10_000 },
    see: () => statusOf(`${picture("large")}?imageMogr2/thumbnail/50x`),
    seen: [200, 400],
  },
  imageFrames: {
    before: {},
    after: { imageFrames: 2 },
    see: () => statusOf(`${picture("gif")}?imageMogr2/thumbnail/20x`),
    seen: [200, 400],
  },
  renderTime: {
    before: {},
    after: { renderTime: "100ms" },
    see: () => statusOf(`${picture("jpeg")}?${SLOW}`),
    seen: [200, 500],
  },
  renders: {
    before: { renders: 1 },
    after: { renders: 2 },
    async see() {
      let isOver = false;
      let most = 0;
      const each = [picture("jpeg"), picture("jpeg")].map((path) => ask(`${path}?${SLOW}`));
      const over = Promise.all(each).then(() => {
        isOver = true;
      });
      while (!isOver) {
        most = Math.max(most, await gauge("huiyuan_renders_running"));
        await delay(10);
      }
      await over;
      return most;
    },
    seen: [1, 2],
  },
  fills: {
    before: {},
    after: { fills: 1 },
    async see() {
      mostAtOnce = 0;
      await Promise.all([ask(`${picture("small")}slow`), ask(`${picture("small")}slow`)]);
      return mostAtOnce;
    },
    seen: [2, 1],
  },
  spoolMemory: {
    before: {},
    after: { spoolMemory: "0" },
    async see() {
      const asked = ask(`${picture("small")}slow`);
      await delay(200);
      const dir = join(installation.data, "spool");
      const sizes = readdirSync(dir).map((name) => statSync(join(dir, name)).size);
      await asked;
      return sizes.length > 0;
    },
    seen: [false, true],
  },
  freeDisk: {
    before: {},
    after: { freeDisk: "900000GB" },
    async see() {
      const path = picture("small");
      await ask(path);
      await delay(500);
      return String((await ask(path)).headers["cache-status"]).includes("hit; detail=spool");
    },
    seen: [false, true],
  },
};

test.each(Object.entries(ROWS))(
  "limits.%s takes effect with a reload",
  async (_name, { before, after, see, seen }) => {
    for (const [limits, wanted] of [
      [before, seen[0]],
      [after, seen[1]],
      [before, seen[0]],
    ] as const) {
      const said = program.output.split("new settings are in force").length;
      await put(limits);
      process.kill(program.pid, "SIGHUP");
      await eventually(
        () => program.output.split("new settings are in force").length > said,
        "the settings are in force",
      );
      let found: unknown;
      await eventually(
        async () => {
          found = await see();
          return found === wanted;
        },
        `${wanted} is seen with ${JSON.stringify(limits)}`,
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}; found was ${String(found)}`);
      });
    }
  },
  120_000,
);
