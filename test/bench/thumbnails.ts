// Measures thumbnails of 2000×1500 pixels at about 300×225: each rendered anew, the same one repeatedly, and the memory
// of all processes with fifty in progress.
import sharp from "sharp";
import { get } from "../helpers/get.ts";
import { eventually } from "../helpers/program.ts";
import {
  type Bench,
  type Effort,
  type Outcome,
  ratios,
  type SpeedTargets,
  speeds,
  type Target,
  type Verdict,
} from "./case.ts";
import { among, type Contender } from "./contenders.ts";
import {
  type ImageServer,
  photographFolder,
  startBareSharp,
  startImageFilter,
  startImageHuiyuan,
  startIpx,
  startIsolatedSharp,
  type ThumbnailFormat,
} from "./image-servers.ts";
import { byWrk, compare, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";
import { watchMemory } from "./processes.ts";

/** Enough to keep a core busy; with more, an AVIF would wait longer than a load lasts. */
const CONNECTIONS: Readonly<Record<ThumbnailFormat, number>> = { jpeg: 16, webp: 16, avif: 4 };
const IN_FLIGHT = 50;
const MB = 1_000_000;
const least = (must: number, aim: number): Target => ({ must, aim, isLeast: true });
/** ipx is measured for information. */
const TARGETS: Readonly<Record<string, SpeedTargets>> = {
  "nginx image_filter": { speed: least(4, 6) },
  "sharp behind node:http": { speed: least(0.95, 0.97), p99: { must: 1.2, aim: 1 } },
};
/** Rounds of all servers in turns; a ratio is the median of theirs. */
const ROUNDS = 10;

export const THUMBNAIL_FORMATS: readonly ThumbnailFormat[] = ["jpeg", "webp", "avif"];

/** Each request has another width or quality, so it needs a render. image_filter makes only JPEG from JPEG. */
export async function thumbnails(format: ThumbnailFormat, { place, effort }: Bench): Promise<Outcome> {
  const photographs = await photographFolder(place);
  const starts: (() => Promise<ImageServer>)[] = [
    () => startImageHuiyuan(place),
    () => startBareSharp(photographs),
    () => startIsolatedSharp(photographs),
    () => startIpx(photographs),
  ];
  if (format === "jpeg") starts.push(() => startImageFilter(photographs, place.folder));
  return among(starts, async (servers) => {
    const templates = new Map<Contender, string>();
    for (const server of servers) {
      templates.set(server, server.thumbnail(format));
      await thumbnailOf(server, format);
    }
    const of = (server: Contender) => templates.get(server) ?? "";
    const title = `thumbnail ${format}`;
    const figures = await compare(
      servers,
      byWrk({ kind: "thumbnails", of, connections: CONNECTIONS[format] }),
      warmedUp(effort),
    );
    return { title, figures, verdicts: speeds(title, figures, TARGETS) };
  });
}

/**
 * At about ninety images per second, the usual warm-up would end before V8 has compiled the code, which takes some
 * 3,000 images.
 */
const warmedUp = ({ warmUpSeconds, repeats, ...effort }: Effort): Effort => ({
  ...effort,
  warmUpSeconds: warmUpSeconds * 12,
  repeats: effort.isQuick ? repeats : ROUNDS,
});

/** Huiyuan serves a stored result from memory; the others render again. */
export async function repeatedThumbnail({ place, effort }: Bench): Promise<Outcome> {
  const photographs = await photographFolder(place);
  return among([() => startImageHuiyuan(place), () => startIpx(photographs)], async ([huiyuan, ipx]) => {
    const made = await thumbnailOf(huiyuan, "jpeg");
    const path = `/${made.length}/plain.jpg`;
    const plain = { ...huiyuan, name: "Huiyuan, an original of that size" };
    await verify(plain, path, (await pictureOf(made.length)).for(path));
    await eventually(async () => isFromMemory(plain, path), "the original comes from memory");
    const repeated = { ...huiyuan, target: () => targetOf(huiyuan, "jpeg") };
    await eventually(async () => isFromMemory(repeated, path), "the thumbnail comes from memory");
    const title = "thumbnail jpeg, one URL";
    const again = { ...ipx, target: () => targetOf(ipx, "jpeg") };
    const figures = await compare([repeated, plain, again], byWrk({ kind: "one", path }), effort);
    return { title, figures, verdicts: ratios(title, figures, plain.name, { must: 1.15, aim: 1.05 }) };
  });
}

/** Peak memory of the server and its render processes, of which there is one for each of two cores. */
export async function thumbnailMemory({ place, effort }: Bench): Promise<Outcome> {
  await photographFolder(place);
  // The memory cache is kept small, because its size is the operator's choice.
  const limits = { renders: 2, memory: "8MB" };
  return among([() => startImageHuiyuan({ ...place, limits })], async ([huiyuan]) => {
    await thumbnailOf(huiyuan, "jpeg");
    const memory = watchMemory(huiyuan.pid);
    const paths = { kind: "thumbnails", of: () => huiyuan.thumbnail("jpeg"), connections: IN_FLIGHT } as const;
    await compare([huiyuan], byWrk(paths), { ...effort, repeats: 1 });
    const peak = memory.end();
    const title = `memory with ${IN_FLIGHT} thumbnails under way`;
    // Memory that the machine really uses: a plain sum would count the program's shared pages once per process.
    const verdicts: Verdict[] = [
      {
        what: `${title} (all processes, what they share counted once)`,
        value: peak.shared / MB,
        unit: "MB",
        target: { must: 300, aim: 200 },
      },
      { what: `${title}, the sum of their RSS`, value: peak.resident / MB, unit: "MB", target: undefined },
    ];
    return { title, figures: [], verdicts };
  });
}

function targetOf(server: ImageServer, format: ThumbnailFormat): string {
  const values: Readonly<Record<string, string>> = { run: "first", width: "300", quality: "85" };
  return server.thumbnail(format).replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

/** Requests one thumbnail. Throws unless it is whole and as requested. */
async function thumbnailOf(server: ImageServer, format: ThumbnailFormat): Promise<Buffer> {
  const { status, body } = await get({ port: server.port, path: targetOf(server, format) });
  const found = status === 200 ? await sharp(body).metadata() : { width: 0, height: 0, format: "nothing" };
  const isRight = found.width === 300 && found.height === 225 && found.format === (format === "avif" ? "heif" : format);
  if (!isRight) throw new Error(`${server.name} answered with ${status}: ${JSON.stringify(found).slice(0, 200)}`);
  return body;
}

async function isFromMemory(contender: Contender, path: string): Promise<boolean> {
  const { headers } = await get({ port: contender.port, path: contender.target(path) });
  return String(headers["cache-status"]).includes("detail=memory");
}
