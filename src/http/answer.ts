// Answers a download with an object whose size and validators are known: conditions, ranges, HEAD, whole. The same
// function serves memory, bucket and finished spools; what still arrives is answer-filling.ts.
import { randomBytes } from "node:crypto";
import { HuiyuanError } from "../errors.ts";
import { type ByteRange, etagOf, MEDIA_TYPES, type ObjectInfo } from "../object.ts";
import { evaluate } from "./conditional.ts";
import type { Exchange, HeaderList } from "./exchange.ts";
import { createMultipart } from "./multipart.ts";
import { pump, type ReadAt } from "./pump.ts";
import { parseRange } from "./range.ts";

/** The bytes of an object: whole in memory, or read by offset. */
export type ObjectBytes =
  | { readonly kind: "memory"; readonly body: Buffer }
  | { readonly kind: "read"; readonly read: ReadAt };

/** What the answer carries beside the object's own headers. */
export interface AnswerContext {
  /** Cache-Control, Cache-Status, CORS, Vary: everything that does not depend on the object. */
  readonly headers: HeaderList;
  /** A token that works once: awaited just before a 2xx head of a GET; false → sign_spent. */
  readonly spend: (() => Promise<boolean>) | undefined;
  readonly client: () => AbortSignal;
}

type Plan =
  | { readonly kind: "full" }
  | { readonly kind: "not-modified" }
  | { readonly kind: "ranges"; readonly ranges: readonly ByteRange[] };

const objectHeaders = new WeakMap<ObjectInfo, { readonly validators: HeaderList; readonly all: HeaderList }>();

/** Built once per object and kept as long as the object is. */
function headersOf(info: ObjectInfo): { readonly validators: HeaderList; readonly all: HeaderList } {
  const known = objectHeaders.get(info);
  if (known !== undefined) return known;
  const validators = ["ETag", etagOf(info.hashes), "Last-Modified", new Date(info.modifiedAt).toUTCString()];
  const stored = Object.entries(info.headers).flat();
  const all = [...validators, "Accept-Ranges", "bytes", "X-Content-Type-Options", "nosniff", ...stored];
  const built = { validators, all };
  objectHeaders.set(info, built);
  return built;
}

/** What the request's conditions and Range ask for. Throws range_unsatisfiable, precondition_failed. */
function plan(exchange: Exchange, info: ObjectInfo): Plan {
  const { headers, method } = exchange.request;
  const verdict = evaluate(
    {
      method: method ?? "GET",
      ifMatch: headers["if-match"],
      ifNoneMatch: headers["if-none-match"],
      ifModifiedSince: headers["if-modified-since"],
      ifUnmodifiedSince: headers["if-unmodified-since"],
      ifRange: headers["if-range"] as string | undefined,
      range: headers.range,
    },
    { etag: etagOf(info.hashes), modifiedAt: info.modifiedAt },
  );
  if (verdict === "precondition-failed")
    throw new HuiyuanError("precondition_failed", "Cannot answer: If-Match or If-Unmodified-Since does not hold");
  if (verdict === "not-modified") return { kind: "not-modified" };
  if (verdict === "full" || headers.range === undefined) return { kind: "full" };
  const range = parseRange(headers.range, info.size);
  if (range === undefined) return { kind: "full" };
  if (range.kind === "unsatisfiable") {
    throw new HuiyuanError("range_unsatisfiable", `Cannot answer ${headers.range}: the object has ${info.size} bytes`, {
      objectBytes: info.size,
    });
  }
  return range;
}

/** Sends the object. Synchronous up to the last byte when it is in memory and nothing has to be spent. */
export function answerObject(
  exchange: Exchange,
  info: ObjectInfo,
  bytes: ObjectBytes,
  context: AnswerContext,
): void | Promise<void> {
  const planned = plan(exchange, info);
  const { response, requestId } = exchange;
  const own = headersOf(info);
  if (planned.kind === "not-modified") {
    response.writeHead(304, [...own.validators, ...context.headers, "X-Request-Id", requestId] as string[]);
    response.end();
    return;
  }
  return sendPlanned(exchange, info, { bytes, context, planned });
}

/** Before a 2xx head of a GET. Throws sign_spent. */
export async function spend(context: AnswerContext): Promise<void> {
  if (context.spend === undefined || (await context.spend())) return;
  throw new HuiyuanError("sign_spent", "Cannot answer: the one-time signature has been used before");
}

/** Some text, then some bytes of the object; either may be missing. */
interface Part {
  readonly before?: Buffer | undefined;
  readonly span?: ByteRange;
}

/** An answer laid out: what its head says and which parts its body is made of. */
interface Layout {
  readonly status: 200 | 206;
  /** Bytes of the body. */
  readonly length: number;
  readonly type: HeaderList;
  readonly parts: readonly Part[];
}

function layOut(info: ObjectInfo, planned: Exclude<Plan, { kind: "not-modified" }>): Layout {
  const { size } = info;
  const mediaType = MEDIA_TYPES[info.image.format];
  if (planned.kind === "full") {
    return {
      status: 200,
      length: size,
      type: ["Content-Type", mediaType],
      parts: [{ span: { start: 0, end: size - 1 } }],
    };
  }
  const [only, second] = planned.ranges;
  if (only !== undefined && second === undefined) {
    const type = ["Content-Type", mediaType, "Content-Range", `bytes ${only.start}-${only.end}/${size}`];
    return { status: 206, length: only.end - only.start + 1, type, parts: [{ span: only }] };
  }
  const multipart = createMultipart(planned.ranges, { size, mediaType, boundary: randomBytes(12).toString("hex") });
  const parts: Part[] = planned.ranges.map((span, index) => ({ before: multipart.heads[index], span }));
  parts.push({ before: multipart.trailer });
  return { status: 206, length: multipart.length, type: ["Content-Type", multipart.mediaType], parts };
}

function sendPlanned(
  exchange: Exchange,
  info: ObjectInfo,
  {
    bytes,
    context,
    planned,
  }: { bytes: ObjectBytes; context: AnswerContext; planned: Exclude<Plan, { kind: "not-modified" }> },
): void | Promise<void> {
  const { request, response, requestId } = exchange;
  const layout = layOut(info, planned);
  const head = layout.type.concat(headersOf(info).all, context.headers);
  head.push("Content-Length", String(layout.length), "X-Request-Id", requestId);
  if (request.method === "HEAD") {
    response.writeHead(layout.status, head);
    response.end();
    return;
  }
  exchange.bodyBytes = layout.length;
  if (bytes.kind === "read") return stream(response, { layout, head, read: bytes.read, context });
  const { body } = bytes;
  if (context.spend === undefined) return sendFromMemory(response, { layout, head, body });
  return spend(context).then(() => sendFromMemory(response, { layout, head, body }));
}

function sendFromMemory(
  response: Exchange["response"],
  { layout, head, body }: { layout: Layout; head: string[]; body: Buffer },
): void {
  response.writeHead(layout.status, head);
  for (const { before, span } of layout.parts) {
    if (before !== undefined) response.write(before);
    // The usual answer is one part, and one `end` with the bytes costs least.
    if (span !== undefined && layout.parts.length === 1) return void response.end(slice(body, span));
    if (span !== undefined) response.write(slice(body, span));
  }
  response.end();
}

function slice(body: Buffer, span: ByteRange): Buffer {
  return span.start === 0 && span.end === body.byteLength - 1 ? body : body.subarray(span.start, span.end + 1);
}

async function stream(
  response: Exchange["response"],
  { layout, head, read, context }: { layout: Layout; head: string[]; read: ReadAt; context: AnswerContext },
): Promise<void> {
  // The first bytes are read before the head goes out: damage found there is still repaired or told.
  const start = layout.parts.find((part) => part.span !== undefined)?.span;
  const first = start === undefined ? undefined : await read(start.start, start.end);
  await spend(context);
  response.writeHead(layout.status, head);
  for (const { before, span } of layout.parts) {
    if (before !== undefined) response.write(before);
    if (span === undefined) continue;
    const readPart: ReadAt = (offset, end) => (span === start && offset === span.start ? first : read(offset, end));
    await pump(response, readPart, span, context.client());
  }
  response.end();
}
