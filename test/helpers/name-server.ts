// A DNS server on loopback with scripted responses, which may change with each query. It reads one question per packet
// and knows A and AAAA only. The fault lab's answer-names.mjs makes the program use it.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import ipaddr from "ipaddr.js";

/**
 * Addresses of both families; `unknown`: NXDOMAIN; `failing`: SERVFAIL; `silent`: no response; `alias`: a CNAME without
 * an address.
 */
export type NameAnswer = readonly string[] | "unknown" | "failing" | "silent" | "alias";

/**
 * Name → its response, or one response per look-up in turn (the last one repeats), or one per family (A is delayed by
 * `aMs`). Any other name is unknown.
 */
export type NameTable = Readonly<
  Record<
    string,
    | NameAnswer
    | { readonly inTurn: readonly NameAnswer[] }
    | { readonly a: NameAnswer; readonly aaaa: NameAnswer; readonly aMs?: number }
  >
>;

export interface NameServer {
  /** `address:port`. */
  readonly address: string;
  /** Queries for the name's A records so far; each look-up sends one. */
  asked(name: string): number;
  close(): Promise<void>;
}

const A = 1;
const CNAME = 5;
const AAAA = 28;
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;

/**
 * Listens on a free port of 127.0.0.1 by default. For glibc, which always uses port 53, pass another loopback address.
 */
export async function startNameServer(
  table: NameTable,
  { host = "127.0.0.1", port = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<NameServer> {
  const questions = new Map<string, number>();
  let isOpen = true;
  const socket: Socket = createSocket("udp4");
  socket.on("message", (packet, peer) => {
    const { name, type, end } = readQuestion(packet);
    const count = questions.get(`${name} ${type}`) ?? 0;
    questions.set(`${name} ${type}`, count + 1);
    const entry = table[name] ?? "unknown";
    const answer = answerTo(entry, type, count);
    if (answer === undefined || answer === "silent") return;
    const bytes = answerPacket(packet.subarray(0, end), type, answer);
    const late = typeof entry === "object" && "aMs" in entry && type === A ? entry.aMs : undefined;
    if (late === undefined) socket.send(bytes, peer.port, peer.address);
    // The test may have ended by then.
    else setTimeout(() => isOpen && socket.send(bytes, peer.port, peer.address), late);
  });
  socket.bind(port, host);
  await once(socket, "listening");
  return {
    address: `${host}:${socket.address().port}`,
    asked: (name) => questions.get(`${name} ${A}`) ?? 0,
    async close() {
      isOpen = false;
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}

function answerTo(entry: NameTable[string], type: number, count: number): NameAnswer | undefined {
  if (typeof entry === "string") return entry;
  if ("a" in entry) return type === A ? entry.a : entry.aaaa;
  return "inTurn" in entry ? (entry.inTurn[count] ?? entry.inTurn.at(-1)) : entry;
}

const HEAD_BYTES = 12;

/** Reads the first question. `end`: the question's end in the packet. */
function readQuestion(packet: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (let length = packet[at] ?? 0; length !== 0; length = packet[at] ?? 0) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 };
}

function answerPacket(question: Buffer, type: number, answer: Exclude<NameAnswer, "silent">): Buffer {
  const addresses = typeof answer === "string" ? [] : answer.map((text) => addressBytes(text));
  const wanted = addresses.filter(
    (bytes) => (type === A && bytes.length === 4) || (type === AAAA && bytes.length === 16),
  );
  const code = answer === "unknown" ? NAME_ERROR : answer === "failing" ? SERVER_FAILURE : NO_ERROR;
  const packet = Buffer.from(question);
  packet.writeUInt16BE(0x8180 | code, 2); // a response, recursion desired and available
  packet.writeUInt16BE(1, 4);
  const records = answer === "alias" ? [record(CNAME, ALIAS)] : wanted.map((bytes) => record(type, bytes));
  packet.writeUInt16BE(records.length, 6);
  packet.writeUInt32BE(0, 8);
  return Buffer.concat([packet, ...records]);
}

/** The name `cdn`. */
const ALIAS = Buffer.from("\x03cdn\0", "latin1");

/** ipaddr.js keeps ::ffff:127.0.0.1 as an IPv6 address here, as a DNS server would. */
function addressBytes(text: string): Buffer {
  return Buffer.from(ipaddr.parse(text).toByteArray());
}

function record(type: number, bytes: Buffer): Buffer {
  // the question's name, TTL 0
  const head = Buffer.from([0xc0, HEAD_BYTES, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length]);
  return Buffer.concat([head, bytes]);
}
