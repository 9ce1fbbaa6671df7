// The sample origin of `huiyuan try`: a site on loopback with a few pictures, which can be stopped to show that the
// mirror still serves them. It knows nothing of the mirror.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { MEDIA_TYPES } from "../../../core/object.ts";
import { DIRECT_HEADERS } from "../../doctor/find-pictures.ts";

/** Delay of the trial's sample site, like that of a distant origin. Milliseconds. */
export const SAMPLE_DELAY_MS = 60;

export interface SampleSite {
  /** `http://127.0.0.1:port`, without a final slash. */
  readonly url: string;
  readonly delayMs: number;
  /** Requests of mirrors for existing pictures, also those that are refused while it is stopped. */
  readonly requests: () => number;
  readonly isStopped: () => boolean;
  /** true: it answers 503 from now on. */
  setStopped(isStopped: boolean): void;
  /** Closes open connections; resolves when the port is free. */
  close(): Promise<void>;
}

export interface SampleSiteOptions {
  readonly pictures: readonly SamplePicture[];
  /** Delay before each picture's answer. Milliseconds; 0 is none. */
  readonly delayMs: number;
}

/** A picture is at `/images/<name>`, encoded as by encodeURIComponent(). Listens on any free port of this machine. */
export async function startSampleSite({ pictures, delayMs }: SampleSiteOptions): Promise<SampleSite> {
  const byPath = new Map(
    pictures.map((picture) => [`/images/${encodeURIComponent(picture.name)}`, { ...picture, etag: etagOf(picture) }]),
  );
  let requests = 0;
  let isStopped = false;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { method, headers, url = "" } = request;
    const picture = byPath.get(url.replace(/\?.*/, ""));
    if (method !== "GET" && method !== "HEAD") return answerText(response, 405, "only GET and HEAD");
    if (picture === undefined) return answerText(response, 404, "no such picture");
    if (headers["x-huiyuan-trial"] !== DIRECT_HEADERS["x-huiyuan-trial"]) requests += 1;
    if (delayMs > 0) await delay(delayMs, undefined, { ref: false });
    if (isStopped) return answerText(response, 503, "this site has stopped serving its pictures");
    const { etag, bytes, mediaType } = picture;
    const validators = { ETag: etag, "Last-Modified": LAST_MODIFIED, "Cache-Control": "public, max-age=3600" };
    const isNew = headers["if-none-match"] !== etag;
    const entity = { "Content-Type": mediaType, "Content-Length": bytes.length };
    response.writeHead(isNew ? 200 : 304, { ...validators, ...(isNew && entity) });
    response.end(method === "HEAD" || !isNew ? undefined : bytes);
  }

  const server = createServer((request, response) => void answer(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening"); // an error rejects it
  const { port } = server.address() as AddressInfo; // a TCP listener's address is never a string
  return {
    url: `http://127.0.0.1:${port}`,
    delayMs,
    requests: () => requests,
    isStopped: () => isStopped,
    setStopped(to) {
      isStopped = to;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// A fixed date, because the pictures are the same on every run.
const LAST_MODIFIED = "Wed, 15 Jul 2015 08:00:00 GMT";

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" });
  response.end(`${text}\n`);
}

function etagOf({ bytes }: SamplePicture): string {
  return `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;
}

/** One picture of the sample site, with its bytes. */
export interface SamplePicture {
  /** File name, not encoded for a URL; it may contain blanks and Chinese. */
  readonly name: string;
  readonly title: string;
  readonly titleZh: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const { jpeg, png, gif, webp, avif } = MEDIA_TYPES;

/** In the order of the gallery, with formats and names like those of real sites. */
const PICTURES: readonly Omit<SamplePicture, "bytes">[] = [
  { name: "mountains-at-dawn.jpg", title: "Mountains at dawn", titleZh: "群山破晓", mediaType: jpeg },
  { name: "paper-waves.png", title: "Waves of paper", titleZh: "青海波", mediaType: png },
  { name: "晨雾.jpg", title: "Morning mist", titleZh: "晨雾", mediaType: jpeg },
  { name: "aurora.avif", title: "Northern lights", titleZh: "极光", mediaType: avif },
  { name: "sunset-over-the-sea.jpg", title: "Sunset over the sea", titleZh: "海上落日", mediaType: jpeg },
  { name: "lotus-pond.jpg", title: "Carp and lotus", titleZh: "锦鲤荷塘", mediaType: jpeg },
  { name: "city at dusk.png", title: "City at dusk", titleZh: "暮色之城", mediaType: png },
  { name: "milky-way.jpg", title: "Milky Way", titleZh: "银河", mediaType: jpeg },
  { name: "cherry-blossoms.jpg", title: "Cherry blossoms", titleZh: "樱花", mediaType: jpeg },
  { name: "dunes.webp", title: "Caravan in the dunes", titleZh: "沙丘驼队", mediaType: webp },
  { name: "autumn-lake.jpg", title: "Autumn lake", titleZh: "秋湖", mediaType: jpeg },
  { name: "paper-canyon.jpg", title: "Canyon of paper", titleZh: "纸峡谷", mediaType: jpeg },
  { name: "lighthouse.jpg", title: "Lighthouse at nightfall", titleZh: "灯塔", mediaType: jpeg },
  { name: "山水.webp", title: "Ink landscape", titleZh: "山水", mediaType: webp },
  { name: "snowfall.gif", title: "Snowfall", titleZh: "雪夜", mediaType: gif },
];

/** The folder of the files; src/ and dist/ both lie beside config/. */
const FOLDER = new URL("../../../../config/samples/", import.meta.url);

/** Reads every picture, 2.3 MB in all, in the order of the gallery. Rejects if a file is missing. */
export function readSamplePictures(): Promise<readonly SamplePicture[]> {
  return Promise.all(
    PICTURES.map(async (picture) => ({ ...picture, bytes: await readFile(new URL(picture.name, FOLDER)) })),
  );
}
