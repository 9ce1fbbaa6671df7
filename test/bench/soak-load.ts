// The loads of the soak, each until its signal aborts: everything at once that a mirror meets in the open, and a tally
// of what the clients saw. Every whole answer is compared by hash with what the origin has.
import { createHash } from "node:crypto";
import { request } from "node:http";
import { createDice } from "../fault/proxy.ts";
import { get } from "../helpers/get.ts";
import { drip, floodOfHeaders, floodOfRequests, idleClient, pause, readSlowly } from "./hostile-clients.ts";
import { type Picture, pictureOf } from "./pictures.ts";

export interface SoakPlace {
  readonly port: number;
  readonly pictures: Pictures;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** What the clients saw. */
export interface Tally {
  count(what: string, by?: number): void;
  /** Something that must not be; the first 20 are kept in words. */
  fault(what: string): void;
  readonly counts: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
}

export function createTally(): Tally {
  const counts = new Map<string, number>();
  const faults: string[] = [];
  const count = (what: string, by = 1) => void counts.set(what, (counts.get(what) ?? 0) + by);
  return {
    count,
    fault(what) {
      count("faults");
      if (faults.length < 20) faults.push(what);
    },
    counts,
    faults,
  };
}

/** How many clients of a kind, and how much they ask for. */
export const SCALE = {
  slowFills: 200,
  slowFillBytes: 20_000_000,
  /** The origin takes so long over each. */
  slowFillSeconds: 90,
  idle: 1_000,
  slowReaders: 200,
  drips: 50,
  mixed: 12,
} as const;

/** Sizes of the mixed load; the first is asked for most often. */
const MIXED_SIZES = [20_000, 100_000, 1_000_000] as const;
/** Kept in memory, larger than what kernels buffer for a client. */
export const LARGE_IN_MEMORY = 6_000_000;
export const LARGE_IN_BUCKET = 19_000_000;
/** Every size that is asked for. */
export const SIZES: readonly number[] = [...MIXED_SIZES, LARGE_IN_MEMORY, LARGE_IN_BUCKET, SCALE.slowFillBytes];
/** Asked of this host, slow fills take no place of the others. */
export const SLOW_HOST = "slow.test";
const NAMES_PER_SIZE = 50;
/** Slow pictures that differ; equal ones are stored once, which keeps the soak's disk small. */
const SLOW_PICTURES = 8;

/** What each path must be answered with. */
export interface Pictures {
  of(bytes: number): Picture;
  /** SHA-256, hexadecimal, of the picture that goes by this path at the origin. */
  sha256(bytes: number, path: string): string;
}

export async function drawPictures(): Promise<Pictures> {
  const drawn = new Map<number, Picture>();
  for (const bytes of SIZES) drawn.set(bytes, await pictureOf(bytes));
  const known = new Map<string, string>();
  const of = (bytes: number) => drawn.get(bytes) as Picture; // SIZES has them all
  return {
    of,
    sha256(bytes, path) {
      const picture = of(bytes);
      const before = known.get(path);
      if (before !== undefined) return before;
      const hash = createHash("sha256").update(picture.headFor(path)).update(picture.rest).digest("hex");
      // Large ones are few; the small ones are new each time.
      if (bytes > 1_000_000) known.set(path, hash);
      return hash;
    },
  };
}

/** All of them; resolves when every client has left. */
export async function runLoads(place: SoakPlace): Promise<void> {
  const many = (count: number, one: (index: number) => Promise<void>) =>
    Array.from({ length: count }, (_, at) => one(at));
  const slow = createSlowPaths();
  await Promise.all([
    ...many(SCALE.idle, (index) => idle(place, index)),
    ...many(SCALE.slowFills, (index) => slowFills(place, slow, index)),
    ...many(SCALE.slowReaders, (index) => slowReader(place, slow, index)),
    ...many(SCALE.drips, (index) => drips(place, index)),
    ...many(SCALE.mixed, (index) => mixed(place, index)),
    floods(place),
  ]);
}

interface SlowPaths {
  next(): string;
  /** One whose fill runs, most likely. */
  latest(): string;
}

const pictureOfSlow = (path: string) => path.slice(0, path.lastIndexOf("/"));

function createSlowPaths(): SlowPaths {
  let count = 0;
  const path = (index: number) =>
    `/slow/${SCALE.slowFillBytes}/${SCALE.slowFillSeconds}/${index % SLOW_PICTURES}/${index}.jpg`;
  return { next: () => path(count++), latest: () => path(Math.max(0, count - 1)) };
}

async function idle({ port, tally, signal }: SoakPlace, index: number): Promise<void> {
  await pause(index * 5, signal);
  await idleClient(port, namedPath(MIXED_SIZES[0], index), signal, () => tally.count("idle clients that came"));
}

/** One after the other, each with a new key; every fifth client leaves early, the fill goes on. */
async function slowFills({ port, pictures, tally, signal }: SoakPlace, paths: SlowPaths, index: number): Promise<void> {
  await pause(index * 100, signal);
  for (let round = index; !signal.aborted; round += 1) {
    const path = paths.next();
    const leaveAfter = round % 5 === 0 ? SCALE.slowFillBytes / 2 : undefined;
    const seen = await fetchHash({ port, path, host: SLOW_HOST, leaveAfter, signal });
    if (signal.aborted) return;
    if (seen.hasLeft) tally.count("slow fills left by their client");
    else if (seen.sha256 === pictures.sha256(SCALE.slowFillBytes, pictureOfSlow(path))) tally.count("slow fills whole");
    else tally.fault(`slow fill ${path}: ${seen.status}, ${seen.bytes} bytes`);
  }
}

/** A third each from memory, from the bucket and from a running fill. */
async function slowReader({ port, pictures, tally, signal }: SoakPlace, slow: SlowPaths, index: number): Promise<void> {
  await pause(5_000 + index * 50, signal);
  while (!signal.aborted) {
    const kind = (["memory", "bucket", "fill"] as const)[index % 3] ?? "fill";
    const { bytes, path, host, picture } = largeOf(kind, slow);
    const pace = { bytes: 65_536, pauseMs: Math.round(65_536 / (bytes / 60_000)) };
    const seen = await readSlowly({ port, path, host }, pace, signal);
    if (signal.aborted) return;
    if (seen.isWhole && seen.sha256 === pictures.sha256(bytes, picture)) tally.count(`slow reads whole, from ${kind}`);
    else tally.fault(`slow reader of ${path}: ${seen.status}, ${seen.bodyBytes} bytes`);
  }
}

function largeOf(kind: "memory" | "bucket" | "fill", slow: SlowPaths) {
  if (kind === "fill") {
    const path = slow.latest();
    return { bytes: SCALE.slowFillBytes, path, host: SLOW_HOST, picture: pictureOfSlow(path) };
  }
  const bytes = kind === "memory" ? LARGE_IN_MEMORY : LARGE_IN_BUCKET;
  const path = `/${bytes}/large.jpg`;
  return { bytes, path, host: "any.example", picture: path };
}

async function drips({ port, tally, signal }: SoakPlace, index: number): Promise<void> {
  await pause(index * 600, signal);
  while (!signal.aborted) {
    const { ms, status } = await drip(port, signal);
    if (signal.aborted) return;
    if (status === 408 && ms < 35_000) tally.count("slow heads ended with 408");
    else tally.fault(`a slow head was ended after ${Math.round(ms)} ms with ${status}`);
  }
}

async function floods({ port, tally, signal }: SoakPlace): Promise<void> {
  while (!signal.aborted) {
    const statuses = await Promise.all([400, 3_000, 30_000].map((count) => floodOfHeaders(port, count, signal)));
    const answers = await floodOfRequests(port, namedPath(MIXED_SIZES[0], 0), 200, signal);
    if (signal.aborted) return;
    for (const status of statuses) {
      // Still sending, a flood may be reset before it has read the answer.
      if (status === 431 || status === 0) tally.count("header floods ended");
      else tally.fault(`a header flood was answered ${status}`);
    }
    if (answers === 200) tally.count("floods of 200 requests answered");
    else tally.fault(`${answers} of 200 requests on one connection were answered 200`);
    await pause(1_000, signal);
  }
}

function namedPath(bytes: number, index: number): string {
  return `/${bytes}/named-${index % NAMES_PER_SIZE}.jpg`;
}

const KINDS = ["hit", "hit", "hit", "hit", "miss", "miss", "absent", "range", "head", "hit"] as const;

/** Hits, misses, 404s, ranges and HEADs; a fifth of the clients leaves before the end. */
async function mixed(place: SoakPlace, index: number): Promise<void> {
  const { tally, signal } = place;
  const dice = createDice(index + 1);
  for (let turn = 0; !signal.aborted; turn += 1) {
    const kind = KINDS[Math.floor(dice() * KINDS.length)] ?? "hit";
    const bytes = MIXED_SIZES[dice() < 0.7 ? 0 : dice() < 0.85 ? 1 : 2];
    const path =
      kind === "miss"
        ? `/${bytes}/new-${index}-${turn}.jpg`
        : kind === "absent"
          ? `/absent/${index}-${turn}.jpg`
          : namedPath(bytes, Math.floor(dice() * NAMES_PER_SIZE));
    const leaveAfter = dice() < 0.2 ? Math.floor(dice() * bytes) : undefined;
    const fault = await askOnce(place, { kind, bytes, path, start: Math.floor(dice() * bytes), leaveAfter }).catch(
      (error: Error) => `${kind} ${path}: ${error.message}`,
    );
    if (fault !== undefined) tally.fault(fault);
    await pause(dice() * 100, signal);
  }
}

interface Wish {
  readonly kind: (typeof KINDS)[number];
  readonly bytes: number;
  readonly path: string;
  readonly start: number;
  readonly leaveAfter: number | undefined;
}

/** Undefined: as it must be. */
async function askOnce({ port, pictures, tally }: SoakPlace, wish: Wish): Promise<string | undefined> {
  const { kind, bytes, path, start, leaveAfter } = wish;
  const method = kind === "head" ? "HEAD" : "GET";
  const headers: Record<string, string> = kind === "range" ? { range: `bytes=${start}-` } : {};
  const leaving = method === "GET" && leaveAfter !== undefined ? { leaveAfter } : {};
  const { status, headers: got, body, isWhole } = await get({ port, path, method, headers, ...leaving });
  const wanted = { absent: 404, range: 206, hit: 200, miss: 200, head: 200 }[kind];
  if (status !== wanted) return `${kind} ${path}: ${status}`;
  if (!isWhole && leaving.leaveAfter === undefined) return `${kind} ${path}: broken after ${body.length} bytes`;
  tally.count(isWhole ? `mixed: ${kind}` : "mixed: left by the client");
  if (kind === "absent") return undefined;
  if (kind === "head") return got["content-length"] === String(bytes) ? undefined : `HEAD ${path}: wrong length`;
  const from = kind === "range" ? start : 0;
  const right = pictures.of(bytes).for(path).subarray(from);
  // The bytes of those who left were right as far as they came.
  return body.equals(isWhole ? right : right.subarray(0, body.length)) ? undefined : `${kind} ${path}: wrong bytes`;
}

/** Reads an answer and keeps only its hash. */
function fetchHash(options: {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  readonly leaveAfter: number | undefined;
  readonly signal: AbortSignal;
}): Promise<{ status: number; bytes: number; sha256: string; hasLeft: boolean }> {
  const { port, path, host, leaveAfter = Number.POSITIVE_INFINITY, signal } = options;
  return new Promise((resolve) => {
    const hash = createHash("sha256");
    let bytes = 0;
    let status = 0;
    let hasLeft = false;
    const sent = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false, signal }, (response) => {
      status = response.statusCode ?? 0;
      response.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
        if (bytes < leaveAfter) return;
        hasLeft = true;
        sent.destroy();
      });
      response.on("error", () => {}); // the hash tells
    });
    sent.on("error", () => {}); // `close` follows
    sent.on("close", () => resolve({ status, bytes, sha256: hash.digest("hex"), hasLeft }));
    sent.end();
  });
}
