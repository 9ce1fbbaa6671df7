// Every format with every framing, cut at many places and sent over every faulty network path. A partial image is never
// served as whole and never stored, and the next good response repairs it. LAB_SEED changes the
// places.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  animatedGif,
  noisyAvif,
  noisyBmp,
  noisyGif,
  noisyIco,
  noisyJpeg,
  noisyPng,
  noisyTiff,
  noisyWebp,
  progressiveJpeg,
} from "../helpers/images.ts";
import { chunk, head, response } from "../helpers/scripted-origin.ts";
import { getFresh, getStored, type Lab, type LabStep, PATIENT, startLab, tell } from "./lab.ts";
import { createDice, type ProxyFault } from "./proxy.ts";

const SEED = Number(process.env.LAB_SEED ?? 1);
const PLACES = 24;
const AT_ONCE = 32;

const FORMATS: Readonly<Record<string, () => Promise<Buffer> | Buffer>> = {
  jpeg: () => noisyJpeg(160, 120),
  "progressive-jpeg": () => progressiveJpeg(160, 120),
  png: () => noisyPng(120, 90),
  gif: () => noisyGif(120, 90),
  "animated-gif": () => animatedGif(60, 40),
  webp: () => noisyWebp(160, 120),
  "lossless-webp": () => noisyWebp(90, 60, "lossless"),
  "animated-webp": () => noisyWebp(60, 40, "animated"),
  avif: () => noisyAvif(64, 48),
  bmp: () => noisyBmp(90, 60),
  ico: () => noisyIco(64, 48),
  tiff: () => noisyTiff(90, 60),
};

/** The head, and the body as sent on the wire, including the last chunk if it is chunked. */
const FRAMINGS = {
  length: (bytes: Buffer) => [head("200 OK", [["Content-Length", String(bytes.length)]]), bytes],
  chunks: (bytes: Buffer) => [
    head("200 OK", [["Transfer-Encoding", "chunked"]]),
    Buffer.concat([chunk(bytes), chunk("")]),
  ],
  close: (bytes: Buffer) => [head("200 OK", [["Connection", "close"]]), bytes],
} as const;
type Framing = keyof typeof FRAMINGS;
const framings = Object.keys(FRAMINGS) as Framing[];

const WIRES: Readonly<Record<string, { readonly fault: ProxyFault; readonly isHarmless: boolean }>> = {
  latency: { fault: { latencyMs: 15 }, isHarmless: true },
  jitter: { fault: { jitterMs: 25, sliceBytes: 2_048 }, isHarmless: true },
  bandwidth: { fault: { bytesPerSecond: 100_000, sliceBytes: 2_048 }, isHarmless: true },
  "one-byte": { fault: { sliceBytes: 1 }, isHarmless: true },
  "slow-close": { fault: { end: 200 }, isHarmless: true },
  cut: { fault: { stop: { after: 600, by: "cut" } }, isHarmless: false },
  reset: { fault: { stop: { after: 600, by: "reset" } }, isHarmless: false },
  blackhole: { fault: { stop: { after: 600, by: "blackhole" } }, isHarmless: false },
};

interface WireCase {
  readonly format: string;
  readonly framing: Framing;
  readonly wire: string;
}
/**
 * Each case has its own domain, proxy and origin, because many failures of one origin would open its breaker for the
 * next case.
 */
const domainOf = ({ format, framing, wire }: WireCase) => `${format}-${framing}-${wire}.test`;
const WIRE_CASES: readonly WireCase[] = Object.keys(FORMATS).flatMap((format) =>
  framings.flatMap((framing) => Object.keys(WIRES).map((wire) => ({ format, framing, wire }))),
);

let lab: Lab;
const pictures = new Map<string, Buffer>();

/** Runs every case, a bounded number at once. */
async function forEachOf<Case>(cases: readonly Case[], run: (one: Case) => Promise<void>): Promise<void> {
  const left = [...cases];
  const work = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await run(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** The bad response came from the origin; the next response is good, and the one after that is a hit. */
async function expectRepair(path: string, bytes: Buffer): Promise<void> {
  expect(lab.asked(path), path).toBeGreaterThan(0);
  lab.script(path, [response(bytes)]);
  const repaired = await getFresh(lab, { path, host: PATIENT });
  expect(tell(repaired, bytes), path).toBe("200 whole");
  const asked = lab.asked(path);
  expect(tell(await getStored(lab, { path, host: PATIENT }), bytes), path).toBe("200 whole");
  expect(lab.asked(path), path).toBe(asked);
}

/** `whole` would be wrong: the connection must break, or an error must be sent. */
const NOT_WHOLE = /^(200 broken|424, -(120|902))$/;

describe("images of every format, cut and sent over faulty networks", { timeout: 300_000 }, () => {
  beforeAll(async () => {
    for (const [format, make] of Object.entries(FORMATS)) pictures.set(format, await make());
    const wires = WIRE_CASES.map((one) => [domainOf(one), WIRES[one.wire]?.fault ?? {}] as const);
    lab = await startLab({ proxies: {}, patientProxies: Object.fromEntries(wires), names: {} });
  });
  afterAll(() => lab?.close());

  describe.each(Object.keys(FORMATS))("%s", (format) => {
    test("an image that is cut anywhere is never whole, never stored, and then repaired", async () => {
      const bytes = pictures.get(format) ?? Buffer.alloc(0);
      const dice = createDice(SEED);
      const last = bytes.length - 1;
      const places = [
        1,
        2,
        16,
        last - 1,
        last,
        ...Array.from({ length: PLACES }, () => 1 + Math.floor(dice() * (last - 1))),
      ];
      const cases = framings.flatMap((framing) =>
        [...new Set(places)].flatMap((at) => (["FIN", "RST"] as const).map((by) => ({ framing, at, by }))),
      );
      await forEachOf(cases, async ({ framing, at, by }) => {
        const path = `/sweep/${format}-${framing}-${at}-${by}`;
        const [start = "", body = Buffer.alloc(0)] = FRAMINGS[framing](bytes);
        // The chunk's own head counts among the bytes that are cut.
        const script: LabStep[] = [start, body.subarray(0, at), { pause: 30 }, by];
        lab.script(path, script);
        const seen = await lab.get({ path });
        expect(tell(seen, bytes), path).toMatch(NOT_WHOLE);
        await expectRepair(path, bytes);
      });
    });

    test("an image over a faulty network is whole and right, or broken and then repaired", async () => {
      const bytes = pictures.get(format) ?? Buffer.alloc(0);
      const cases = WIRE_CASES.filter((one) => one.format === format);
      await forEachOf(cases, async (one) => {
        const { wire, framing } = one;
        const path = `/wires/${format}-${framing}-${wire}`;
        lab.script(path, framing === "close" ? [...FRAMINGS.close(bytes), "FIN"] : FRAMINGS[framing](bytes));
        const seen = tell(await lab.get({ path, host: domainOf(one) }), bytes);
        if (WIRES[wire]?.isHarmless === true) expect(seen, path).toBe("200 whole");
        else expect(seen, path).toMatch(NOT_WHOLE);
        await expectRepair(path, bytes);
      });
    });
  });

  test("all images are served after kill -9 without any origin", async () => {
    const paths = [...new Set(lab.origin.requests.map(({ target }) => target))];
    await lab.restartAlone();
    await forEachOf(paths, async (path) => {
      const format = Object.keys(FORMATS).find((name) => path.split("/")[2]?.startsWith(`${name}-`)) ?? "";
      expect(tell(await lab.get({ path }), pictures.get(format) ?? Buffer.alloc(0)), path).toBe("200 whole");
    });
  });
});
