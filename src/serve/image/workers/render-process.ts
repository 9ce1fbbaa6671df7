// The entry point of a render process: it renders one image after another for the server that started it. Decoders and
// encoders cannot be interrupted, so the server kills the process on a timeout. The process checks its own memory and
// ends before the machine runs out. Between images it blocks in a read, because it has nothing else to do.
import { readSync, writeFileSync } from "node:fs";
import { asHuiyuanError } from "../../../core/errors.ts";
import { limitMemory } from "../pixels/memory.ts";
import { type PipelineRequest, renderImage, restrictDecoders } from "../process/pipeline.ts";
import {
  type FromProcess,
  frameOf,
  PREFIX_BYTES,
  type RenderCommand,
  requestOf,
  SHARED_BYTES,
  SOCKET,
} from "./render-messages.ts";

/** Interval of the memory check; short, because a decoder fills a gigabyte a second. */
const CHECK_MS = 10;
/** The first check comes when most thumbnails are done. No decoder fills a process up to its limit before. */
const FIRST_CHECK_MS = 50;
const maxResidentBytes = Number(process.argv[2]);
const server = process.ppid;
const resident = process.memoryUsage.rss;
let room = Buffer.allocUnsafeSlow(SHARED_BYTES);

/** Ends without a message: the server has gone, or a message would come too late. */
function endAtOnce(): never {
  // An orderly exit would wait for the thread that is decoding.
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}

/**
 * Sends a message in one write if possible: each write wakes the server, which displaces the CPU caches of the next
 * image.
 */
function sendMessage(message: FromProcess, body?: Buffer): void {
  const parts = frameOf(message, body && [body]);
  transferred(() => writeFileSync(SOCKET, Buffer.concat(parts)));
}

/** Fills the buffer from the socket. */
function readFully(into: Buffer): Buffer {
  for (let at = 0; at < into.length; ) {
    const count = transferred(() => readSync(SOCKET, into, at, into.length - at, null));
    if (count === 0) endAtOnce();
    at += count;
  }
  return into;
}

function transferred<Result>(transfer: () => Result): Result {
  try {
    return transfer();
  } catch {
    return endAtOnce(); // the server has gone
  }
}

/** Blocks until the next command has arrived. */
function nextRequest(): PipelineRequest {
  const prefix = readFully(Buffer.alloc(PREFIX_BYTES));
  const head: RenderCommand = JSON.parse(readFully(Buffer.alloc(prefix.readUInt32BE(0))).toString());
  const { imageBytes, isHeld } = head;
  const buffer = bufferFor(imageBytes);
  const image = isHeld ? buffer : readFully(buffer);
  const watermarks = readFully(Buffer.allocUnsafe(prefix.readUInt32BE(4) - (isHeld ? 0 : imageBytes)));
  return requestOf(head, image, watermarks);
}

/** A buffer that is used again. Garbage buffers would stay in memory for several more large images. */
function bufferFor(bytes: number): Buffer {
  if (bytes > room.length) room = Buffer.allocUnsafeSlow(Math.ceil(bytes / SHARED_BYTES) * SHARED_BYTES);
  return room.subarray(0, bytes);
}

async function serveOne(): Promise<void> {
  const request = nextRequest();
  let watch = setTimeout(() => {
    checkLimits();
    watch = setInterval(checkLimits, CHECK_MS);
  }, FIRST_CHECK_MS);
  try {
    const bytes = await renderImage(request);
    sendMessage({ kind: "rendered", residentBytes: resident() }, bytes);
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
// A terminal sends signals to the whole process group; the server ends its processes itself.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
sendMessage({ kind: "ready" });
for (;;) await serveOne();
