// Runs the clients of the image soak until their signal aborts, and the origin behind the program. Checks every
// response: its status, the code of a refusal, and the format and sides of an image.
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import sharp from "sharp";
import { readBmp } from "../../src/serve/image/formats/bmp.ts";
import { createDice } from "../fault/proxy.ts";
import { type GetResult, get } from "../helpers/get.ts";
import { pause } from "./hostile-clients.ts";
import type { ImageMenu, ImageOrder } from "./image-orders.ts";
import type { Tally } from "./soak-load.ts";

export interface ImageSoakPlace {
  readonly port: number;
  readonly menu: ImageMenu;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

const GOOD_CLIENTS = 8;
const HOSTILE_CLIENTS = 2;
const LEAVERS = 2;
const HOSTILE_PAUSE_MS = 3_000;
/** URLs that are requested repeatedly, so that responses can be compared byte for byte. */
const KNOWN_ORDERS = 60;
/** Time for a render, the wait in the render queue, and a busy machine. */
const PATIENCE_MS = 30_000;
/** The program's own bounds are 10 s in the queue and 5 s for a render. */
const MAX_ANSWER_MS = 20_000;

/** Serves the menu's files on a free port. */
export async function startPictureOrigin({ files }: ImageMenu) {
  const server = createServer((asked, answer) => {
    const bytes = files.get((asked.url ?? "").split("?")[0] ?? "");
    answer.writeHead(bytes === undefined ? 404 : 200, { "Content-Length": bytes?.length ?? 0 });
    answer.end(bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a string
  return {
    port,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Runs all clients; resolves once every client has disconnected. */
export async function runImageLoads(place: ImageSoakPlace): Promise<void> {
  const known = createKnown(place.menu);
  const many = (count: number, one: (index: number) => Promise<void>) =>
    Array.from({ length: count }, (_, at) => one(at));
  await Promise.all([
    ...many(GOOD_CLIENTS, (index) => goodClient(place, known, index)),
    ...many(HOSTILE_CLIENTS, (index) => hostileClient(place, index)),
    ...many(LEAVERS, (index) => leaver(place, index)),
  ]);
}

/** Repeated requests, and the first response to each. */
interface Known {
  readonly orders: readonly ImageOrder[];
  readonly answers: Map<string, Buffer>;
}

function createKnown(menu: ImageMenu): Known {
  const dice = createDice(99);
  return { orders: Array.from({ length: KNOWN_ORDERS }, () => menu.good(dice)), answers: new Map() };
}

async function goodClient(place: ImageSoakPlace, { orders, answers }: Known, index: number): Promise<void> {
  const { menu, signal, tally } = place;
  const dice = createDice(index + 1);
  while (!signal.aborted) {
    const again = dice() < 0.3 ? orders[Math.floor(dice() * orders.length)] : undefined;
    const answer = await ask(place, again ?? menu.good(dice));
    if (again !== undefined && answer?.status === 200) {
      const before = answers.get(again.target);
      if (before === undefined) answers.set(again.target, answer.body);
      else if (before.equals(answer.body)) tally.count("the same again");
      else tally.fault(`${again.target} was answered with other bytes than before`);
    }
    await pause(dice() * 60, signal);
  }
}

async function hostileClient(place: ImageSoakPlace, index: number): Promise<void> {
  const { menu, signal } = place;
  // Clients begin at different places, so that they do not move in step.
  for (let turn = index * 7; !signal.aborted; turn += 1) {
    await ask(place, menu.hostile(turn));
    // A hostile image may occupy a render slot for seconds, and good images need slots too.
    await pause(HOSTILE_PAUSE_MS, signal);
  }
}

/** A client that disconnects while its image is being rendered. */
async function leaver({ port, menu, signal, tally }: ImageSoakPlace, index: number): Promise<void> {
  const dice = createDice(1_000 + index);
  while (!signal.aborted) {
    const { target } = menu.good(dice);
    const sent = request({ host: "127.0.0.1", port, path: target, headers: { host: "any.example" }, agent: false });
    const closed = new Promise<void>((resolve) => sent.once("close", () => resolve()));
    sent.on("error", () => {}); // this client has disconnected
    sent.on("response", (response) => response.resume().on("error", () => {}));
    sent.end();
    await pause(dice() * 80, signal);
    sent.destroy();
    await closed;
    tally.count("left while it was made");
  }
}

/** Undefined if the soak has ended. */
async function ask({ port, tally, signal }: ImageSoakPlace, order: ImageOrder): Promise<GetResult | undefined> {
  const began = performance.now();
  const answer = await get({ port, path: order.target, deadlineMs: PATIENCE_MS }).catch((error: Error) => error);
  if (signal.aborted) return undefined;
  const fault = answer instanceof Error ? answer.message : await faultOf(order, answer, performance.now() - began);
  if (fault !== undefined) tally.fault(`${order.kind}: ${order.target}: ${fault}`);
  else if (!(answer instanceof Error)) tally.count(answer.status === 503 ? "503" : order.kind);
  return answer instanceof Error ? undefined : answer;
}

/** Undefined if the response is as expected. */
async function faultOf(order: ImageOrder, answer: GetResult, ms: number): Promise<string | undefined> {
  const { status, headers, body, isWhole } = answer;
  if (!isWhole) return `broken after ${body.length} bytes`;
  if (ms > MAX_ANSWER_MS) return `answered after ${Math.round(ms)} ms`;
  if (status === 503) return headers["retry-after"] === undefined ? "503 without Retry-After" : undefined;
  if (!order.statuses.includes(status)) return `answered ${status}, wanted ${order.statuses.join(" or ")}`;
  if (status !== 200) return headers["x-errno"] === undefined ? `${status} without X-ErrNo` : undefined;
  return order.image === undefined ? undefined : imageFault(order.image, body);
}

async function imageFault(wanted: NonNullable<ImageOrder["image"]>, body: Buffer): Promise<string | undefined> {
  const isBmp = wanted.format === "bmp";
  const found = isBmp ? { format: "bmp", ...readBmp(body) } : await sharp(body).metadata();
  const height = "pageHeight" in found ? (found.pageHeight ?? found.height) : found.height;
  const isRight = found.format === wanted.format && found.width === wanted.width && height === wanted.height;
  return isRight ? undefined : `${found.format} of ${found.width}×${height}, wanted ${JSON.stringify(wanted)}`;
}
