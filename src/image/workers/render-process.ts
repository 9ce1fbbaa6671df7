// A process that renders: one image after another, for the server that started it. Decoders and encoders cannot be
// interrupted, so the server kills it when time is up; it watches its memory itself and gives up before the machine does.
// Between images it waits in a read, since it has nothing else to do.
import { closeSync, fstatSync, openSync, readSync, writevSync } from "node:fs";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { SourceLimits } from "../formats/loaders.ts";
import { limitMemory } from "../pixels/memory.ts";
import { type PipelineRequest, renderImage, restrictDecoders } from "../process/pipeline.ts";
import { verifyDecodable } from "../process/verify-decodable.ts";
import {
  type FromProcess,
  frameOf,
  PREFIX_BYTES,
  partsAfter,
  requestOf,
  SHARED_BYTES,
  SOCKET,
  type ToProcess,
} from "./render-messages.ts";
import { createResidentMeter } from "./resident.ts";

/** A decoder fills a gigabyte a second. */
const CHECK_MS = 10;
const maxResidentBytes = Number(process.argv[2]);
const server = process.ppid;
const resident = createResidentMeter();
const shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
let large = Buffer.alloc(0);

/** Nobody is told: whoever could be is gone, or cannot be waited for. */
function endAtOnce(): never {
  // An orderly exit would wait for the thread that is decoding.
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

/** In one write: the server would wake for each, and take the caches from the next image. */
function sendMessage(message: FromProcess, body?: Buffer): void {
  let left = frameOf(message, body && [body]);
  const write = () => writevSync(SOCKET, left);
  while (left.length > 0) left = partsAfter(left, transferred(write));
}

/** Fills the buffer. */
function readFully(into: Buffer): Buffer {
  for (let at = 0; at < into.length; ) {
    const count = transferred(() => readSync(SOCKET, into, at, into.length - at, null));
    if (count === 0) endAtOnce();
    at += count;
  }
  return into;
}

function transferred(transfer: () => number): number {
  try {
    return transfer();
  } catch {
    return endAtOnce(); // the server has gone
  }
}

type Work = () => Promise<void>;

/** Waits for the next one. */
function nextCommand(): Work {
  const prefix = readFully(Buffer.alloc(PREFIX_BYTES));
  const head = JSON.parse(readFully(Buffer.alloc(prefix.readUInt32BE(0))).toString()) as ToProcess; // the server's own
  const bodyBytes = prefix.readUInt32BE(4);
  if (head.kind === "verify") {
    const { path, limits } = head;
    const body = readFully(bufferFor(bodyBytes));
    return () => verify(path === undefined ? body : read(path), limits);
  }
  const { imageBytes, isHeld } = head;
  const buffer = bufferFor(imageBytes);
  const image = isHeld ? buffer : readFully(buffer);
  const watermarks = readFully(Buffer.allocUnsafe(bodyBytes - (isHeld ? 0 : imageBytes)));
  const request = requestOf(head, image, watermarks);
  return () => render(request);
}

/** A place that is used again: what is freed to the garbage collector stays in memory for several large images more. */
function bufferFor(bytes: number): Buffer {
  if (bytes <= SHARED_BYTES) return shared.subarray(0, bytes);
  if (bytes > large.length) large = Buffer.allocUnsafeSlow(Math.ceil(bytes / SHARED_BYTES) * SHARED_BYTES);
  return large.subarray(0, bytes);
}

async function render(request: PipelineRequest): Promise<void> {
  const { bytes, ...rendered } = await renderImage(request);
  sendMessage({ kind: "rendered", rendered, residentBytes: resident() }, bytes);
}

async function verify(bytes: Buffer, limits: SourceLimits): Promise<void> {
  await verifyDecodable(bytes, limits);
  sendMessage({ kind: "verified", residentBytes: resident() });
}

function read(path: string): Buffer {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const bytes = bufferFor(fstatSync(file).size);
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(file, bytes, at, bytes.length - at, null);
      if (count === 0) throw new Error("it became shorter");
      at += count;
    }
    return bytes;
  } catch (error) {
    throw new HuiyuanError("store_failed", `Cannot read "${path}"`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

async function serveOne(): Promise<void> {
  const work = nextCommand();
  const watch = setInterval(checkLimits, CHECK_MS);
  try {
    await work();
  } catch (error) {
    const { code, message, parameter, wanted } = asHuiyuanError(error);
    sendMessage({ kind: "refused", code, message, parameter, wanted, residentBytes: resident() });
  } finally {
    clearInterval(watch);
  }
}

function checkLimits(): void {
  if (process.ppid !== server) endAtOnce();
  if (resident() <= maxResidentBytes) return;
  sendMessage({ kind: "exhausted" });
  endAtOnce();
}

restrictDecoders();
limitMemory(maxResidentBytes);
// The server's own signals reach the whole group of a terminal; it ends its processes itself.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
sendMessage({ kind: "ready" });
for (;;) await serveOne();
