// Reused memory and clients that read late: each client gets the bytes of its own responses.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createScratch } from "../../../../../../src/serve/body/scratch.ts";
import { type FastPathLab, startFastPathLab } from "../../../../../helpers/fast-path-lab.ts";
import { eventually, within } from "../../../../../helpers/program.ts";

const BYTES = 200_000;
/** More than the kernel buffers for a client that does not read. */
const ASKED = 200;

/** A different body for each path. */
function fillFor(path: string, bytes: Buffer): Buffer {
  const pattern = createHash("sha256").update(path).digest();
  return bytes.fill(pattern);
}

let lab: FastPathLab;
let answered: number;
let freed: number;
let gone: number;

beforeAll(async () => {
  const scratch = createScratch();
  lab = await startFastPathLab((request, response) => {
    const lease = scratch.take(BYTES);
    if (lease === undefined) throw new Error("no scratch");
    fillFor(request.url ?? "", lease.bytes);
    answered += 1;
    response.onceGone(() => (gone += 1));
    response.writeHead(200, ["Content-Length", String(BYTES)]);
    response.end(lease.bytes, () => {
      freed += 1;
      lease.free();
    });
  });
});

afterAll(() => lab.stop());

/** Sends requests without reading until no response goes out any more. */
async function stuck(): Promise<Socket> {
  [answered, freed, gone] = [0, 0, 0];
  const socket = connect({ port: lab.fast, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.pause();
  for (let count = 0; answered === freed && count < ASKED; count += 1) {
    socket.write(`GET /${count} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await eventually(() => answered > count, "the next answer has begun");
  }
  expect(answered - freed).toBe(1);
  return socket;
}

/** Sends so many requests over one connection, one after the other: enough to reuse every piece. */
async function others(count = 30): Promise<void> {
  const socket = connect({ port: lab.fast, host: "127.0.0.1", noDelay: true });
  for (let index = 0; index < count; index += 1) {
    const path = `/other-${index}`;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const [body] = await bodiesFrom(socket, 1);
    expect(body?.equals(fillFor(path, Buffer.alloc(BYTES)))).toBe(true);
  }
  socket.destroy();
}

/** The bodies of the next responses. */
function bodiesFrom(socket: Socket, count: number): Promise<Buffer[]> {
  const read = new Promise<Buffer[]>((resolve) => {
    let received: Buffer[] = [];
    let length = 0;
    let answerBytes = Number.POSITIVE_INFINITY;
    const listen = (bytes: Buffer) => {
      received.push(bytes);
      length += bytes.length;
      if (answerBytes === Number.POSITIVE_INFINITY) {
        received = [Buffer.concat(received)];
        const bodyAt = received[0]!.indexOf("\r\n\r\n") + 4;
        if (bodyAt > 3) answerBytes = bodyAt + BYTES;
      }
      if (length < count * answerBytes) return;
      socket.off("data", listen);
      const all = Buffer.concat(received);
      resolve(
        Array.from({ length: count }, (_, index) =>
          all.subarray((index + 1) * answerBytes - BYTES, (index + 1) * answerBytes),
        ),
      );
    };
    socket.on("data", listen);
  });
  return within(read, 20_000, () => "not all came");
}

test("a client that reads late gets the bytes of its own responses", async () => {
  const socket = await stuck();
  const count = answered;
  await others();
  expect(answered - freed).toBe(1);
  const reading = bodiesFrom(socket, count);
  socket.resume();
  for (const [index, body] of (await reading).entries()) {
    expect(body.equals(fillFor(`/${index}`, Buffer.alloc(BYTES)))).toBe(true);
  }
  await eventually(() => freed === answered, "the last piece is given back");
  socket.destroy();
});

test("memory is not reused after a client that leaves early", async () => {
  const socket = await stuck();
  socket.resetAndDestroy();
  await eventually(() => gone === 1, "the answer is given up");
  await others();
  expect(answered - freed).toBe(1);
});
