// Answers a download with an object of known size and validators: conditions, ranges, HEAD, whole. Memory, bucket and
// finished spools use the same function. Running fills are answered by answer-filling.ts.
import { HuiyuanError } from "../../../core/errors.ts";
import { type ByteRange, etagOf, MADE_HERE, MEDIA_TYPES, type ObjectInfo } from "../../../core/object.ts";
import { evaluate, type ObjectValidators } from "../request/conditional.ts";
import { type DownloadResponse, type HeaderList, type Headers, headerBlock } from "../request/download-response.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import { parseRange } from "../request/range.ts";
import { pump, type ReadAt } from "./pump.ts";

/** An SVG may contain scripts and links; a browser that opens one runs none of them and loads nothing. */
export const SVG_POLICY = [
  "Content-Security-Policy",
  "default-src 'none'; style-src 'unsafe-inline'; sandbox",
] as const satisfies HeaderList;

/** The bytes of an object: whole in memory, or read by offset. `taken`: see DownloadResponse.end. */
export type ObjectBytes =
  | { readonly kind: "memory"; readonly body: Buffer; readonly taken?: (() => void) | undefined }
  | { readonly kind: "read"; readonly read: ReadAt };

/** The parts of a response that do not depend on the object. */
export interface AnswerContext {
  /** Cache-Control, Cache-Status, CORS and Vary. */
  readonly headers: readonly Headers[];
  /** Spends a one-time token; awaited just before the 2xx head of a GET. False: sign_spent. */
  readonly spend: (() => Promise<boolean>) | undefined;
  readonly client: () => AbortSignal;
  /** Replaces 200 for a fallback object; conditions and ranges are ignored then. */
  readonly status?: 404;
}

/** Undefined: the whole object is sent. */
type Plan = "not-modified" | ByteRange | undefined;

/** The head of a planned response, and the bytes of the object that it sends. */
interface Layout {
  readonly status: 200 | 206;
  /** The headers that depend on the object alone, Content-Length included. */
  readonly headers: Headers;
  readonly span: ByteRange;
}

/** The facts about an object that are the same for all clients. It is small, because each object in memory has one. */
export interface ObjectFacts extends ObjectValidators {
  readonly whole: Layout;
}

const factsOfStored = new WeakMap<ObjectInfo, ObjectFacts>();

/** Built at the first hit of an object; they live as long as its description. */
function storedFactsOf(info: ObjectInfo): ObjectFacts {
  const known = factsOfStored.get(info);
  if (known !== undefined) return known;
  const built = factsOf(info);
  factsOfStored.set(info, built);
  return built;
}

/** The facts of an image that is answered once. */
export function factsOf(info: ObjectInfo): ObjectFacts {
  const { size, modifiedAt, storedAt, provenance } = info;
  const etag = etagOf(info.hashes);
  const type = ["Content-Type", MEDIA_TYPES[info.image.format]];
  const headers = headerBlock(withLength(type, ownHeaders(info, etag), size));
  const whole: Layout = { status: 200, headers, span: { start: 0, end: size - 1 } };
  // No response had this date before the object was stored.
  const isDateStrong = storedAt - modifiedAt >= 1_000;
  return { etag, modifiedAt, isDateStrong, isMade: provenance.originUrl === MADE_HERE, whole };
}

/** The headers of a 304. */
function validatorsOf({ modifiedAt }: ObjectInfo, etag: string): HeaderList {
  return ["ETag", etag, "Last-Modified", new Date(modifiedAt).toUTCString()];
}

/** The headers of every response with bytes of the object. */
function ownHeaders(info: ObjectInfo, etag: string): HeaderList {
  const own = [...validatorsOf(info, etag), "Accept-Ranges", "bytes", "X-Content-Type-Options", "nosniff"];
  if (info.image.format === "svg") own.push(...SVG_POLICY);
  for (const name in info.headers) own.push(name, info.headers[name] as string);
  return own;
}

/** Evaluates the request's conditions and Range. Throws range_unsatisfiable, precondition_failed. */
function plan(exchange: DownloadExchange, info: ObjectInfo, facts: ObjectFacts): Plan {
  const verdict = evaluate(exchange.request, facts);
  if (verdict === "precondition-failed")
    throw new HuiyuanError("precondition_failed", "Cannot answer: If-Match or If-Unmodified-Since does not hold");
  if (verdict === "not-modified") return "not-modified";
  return verdict === "range" ? requestedSpan(exchange.request.headers.range, info.size) : undefined;
}

/** The bytes that a Range header asks for; undefined: the whole body. Throws range_unsatisfiable. */
export function requestedSpan(header: string | undefined, size: number): ByteRange | undefined {
  const range = header === undefined ? undefined : parseRange(header, size);
  if (range !== "unsatisfiable") return range;
  throw new HuiyuanError("range_unsatisfiable", `Cannot answer ${header}: the object has ${size} bytes`, {
    objectBytes: size,
  });
}

/**
 * Sends the object. Synchronous to the last byte if it is in memory and no token is spent. `facts`: given for an image
 * that was just fetched, because most of those are never hit.
 */
export function answerObject(
  exchange: DownloadExchange,
  info: ObjectInfo,
  bytes: ObjectBytes,
  context: AnswerContext,
  facts = storedFactsOf(info),
): void | Promise<void> {
  const planned = context.status === undefined ? plan(exchange, info, facts) : undefined;
  const { response, requestId } = exchange;
  if (planned === "not-modified") {
    response.writeHead(304, validatorsOf(info, facts.etag), ...context.headers, ["X-Request-Id", requestId]);
    response.end();
    return;
  }
  return sendPlanned(exchange, layOut(info, facts, planned), bytes, context);
}

/** Must be called before the 2xx head of a GET. Throws sign_spent. */
export async function spend(context: AnswerContext): Promise<void> {
  if (context.spend === undefined || (await context.spend())) return;
  throw new HuiyuanError("sign_spent", "Cannot answer: the one-time signature has been used before");
}

function layOut(info: ObjectInfo, { etag, whole }: ObjectFacts, span: ByteRange | undefined): Layout {
  if (span === undefined) return whole;
  const { start, end } = span;
  const type = ["Content-Type", MEDIA_TYPES[info.image.format], "Content-Range", `bytes ${start}-${end}/${info.size}`];
  return { status: 206, headers: withLength(type, ownHeaders(info, etag), end - start + 1), span };
}

function withLength(type: HeaderList, own: HeaderList, length: number): HeaderList {
  return [...type, ...own, "Content-Length", String(length)];
}

function sendPlanned(
  exchange: DownloadExchange,
  layout: Layout,
  bytes: ObjectBytes,
  context: AnswerContext,
): void | Promise<void> {
  const { request, response, requestId } = exchange;
  const writeHead = () =>
    response.writeHead(context.status ?? layout.status, layout.headers, ...context.headers, [
      "X-Request-Id",
      requestId,
    ]);
  if (request.method === "HEAD") {
    writeHead();
    response.end();
    return;
  }
  const { span } = layout;
  exchange.bodyBytes = span.end - span.start + 1;
  if (bytes.kind === "read") return stream(response, { span, writeHead, read: bytes.read, context });
  const send = () => {
    writeHead();
    // One `end` with the bytes costs least.
    response.end(slice(bytes.body, span), bytes.taken);
  };
  return context.spend === undefined ? send() : spend(context).then(send);
}

function slice(body: Buffer, span: ByteRange): Buffer {
  return span.start === 0 && span.end === body.byteLength - 1 ? body : body.subarray(span.start, span.end + 1);
}

async function stream(
  response: DownloadResponse,
  { span, writeHead, read, context }: { span: ByteRange; writeHead: () => void; read: ReadAt; context: AnswerContext },
): Promise<void> {
  // The first bytes are read before the head goes out, so that damage there can still be repaired or reported.
  const first = await read(span.start, span.end);
  await spend(context);
  writeHead();
  await pump(response, (offset, end) => (offset === span.start ? first : read(offset, end)), span, context.client());
  response.end();
}
