// The sample origin of `huiyuan try`: a site on loopback with a few pictures, which can be stopped to show that the
// mirror still serves them. It knows nothing of the mirror.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { DIRECT_HEADERS } from "../../doctor/find-pictures.ts";
import type { SamplePicture } from "./sample-pictures.ts";

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
