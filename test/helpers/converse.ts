// A client that sends bytes in any pieces and reads the responses byte for byte.
import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { within } from "./program.ts";

/**
 * Sends the pieces, with turns of the event loop between them, and reads `answers` responses, or until the server
 * closes.
 */
export async function converse(port: number, pieces: readonly string[], answers: number): Promise<string[]> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  let wake = () => {};
  let isClosed = false;
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("latin1");
    wake();
  });
  socket.on("error", () => {}); // `close` follows
  socket.on("close", () => {
    isClosed = true;
    wake();
  });
  await once(socket, "connect");
  for (const piece of pieces) {
    if (isClosed) break;
    socket.write(piece, "latin1");
    await turn();
    await turn();
  }
  const change = () =>
    within(new Promise<void>((resolve) => (wake = resolve)), 8_000, () => `no more came after: ${received}`);
  const isHead = pieces.join("").startsWith("HEAD ");
  const read: string[] = [];
  while (read.length < answers) {
    const length = answerLength(received, isHead);
    if (length !== undefined) {
      read.push(comparable(received.slice(0, length)));
      received = received.slice(length);
    } else if (isClosed) break;
    else await change();
  }
  // Other closes depend on timing, so only this one is awaited.
  const isLast = /^Connection: close\r$/m.test(read.at(-1) ?? "");
  while (isLast && !isClosed) await change();
  socket.destroy();
  return isLast || read.length < answers ? [...read, received, "closed"] : read;
}

/** The length of the first response in `text`, with interim ones before it; undefined while it is incomplete. */
function answerLength(text: string, isHead: boolean): number | undefined {
  const bodyAt = text.indexOf("\r\n\r\n") + 4;
  if (bodyAt === 3) return undefined;
  const head = text.slice(0, bodyAt);
  if (/^HTTP\/1\.1 1/.test(head)) {
    const final = answerLength(text.slice(bodyAt), isHead);
    return final === undefined ? undefined : bodyAt + final;
  }
  if (isHead || /^HTTP\/1\.1 (204|304)/.test(head)) return bodyAt;
  const declared = /^content-length: (\d+)\r$/im.exec(head)?.[1];
  if (declared === undefined && !/^transfer-encoding: chunked\r$/im.test(head)) return undefined; // until it closes
  const end = declared === undefined ? chunkedEnd(text, bodyAt) : bodyAt + Number(declared);
  return end === undefined || text.length < end ? undefined : end;
}

function chunkedEnd(text: string, bodyAt: number): number | undefined {
  for (let at = bodyAt; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error(`no chunk begins at ${at}: ${text}`);
    at = lineEnd + 2 + size + 2;
    if (size === 0) return at;
  }
}

/** Replaces the parts that differ from response to response: the date, and a random boundary. */
function comparable(answer: string): string {
  const boundary = /boundary=(\S+)/.exec(answer)?.[1];
  const fixed = answer.replace(/^Date: .*\r$/m, "Date: now\r");
  return boundary === undefined ? fixed : fixed.replaceAll(boundary, "boundary");
}
