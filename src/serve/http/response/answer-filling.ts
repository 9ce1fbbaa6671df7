// Answers a download from a running fill, or from one that ended without proof. Such a response has no validators, so
// that a resume never mixes two versions. If the fill fails after the head, the connection breaks: the bytes have gone
// out, and only the clean end is missing. Before the head a failure is an ordinary error response.
import { HuiyuanError } from "../../../core/errors.ts";
import { type ByteRange, MEDIA_TYPES } from "../../../core/object.ts";
import { damageOf, type FillHead } from "../../mirror/fill/fill-end.ts";
import type { MissAnswer } from "../../mirror/fill/reader.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import { wantsVersion } from "../request/conditional.ts";
import type { HeaderList } from "../request/download-response.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import type { AnswerState } from "../request/site.ts";
import { type AnswerContext, answerObject, requestedSpan, SVG_POLICY, spend } from "./object-answer.ts";
import { pump, type ReadAt } from "./pump.ts";

type Filling = Extract<MissAnswer, { kind: "filling" }>;

/** Makes the response's context once the body's state is known. `isProven`: the gate has passed before the head. */
export type ContextFor = (state: AnswerState, isProven: boolean) => AnswerContext;

/** Sends the body while it arrives. The caller releases `filling`, and destroys the response if this throws. */
export async function answerFilling(
  exchange: DownloadExchange,
  filling: Filling,
  contextFor: ContextFor,
): Promise<void> {
  const { request } = exchange;
  const { size } = filling.head;
  const range = requestedRange(exchange);
  // Without a length an HTTP/1.0 client cannot tell a broken body from a whole one, and a range has no meaning.
  const needsLength = request.method === "GET" && (range !== undefined || request.httpVersion === "1.0");
  const mustEnd = (size === undefined && needsLength) || wantsVersion(request);
  if (mustEnd) return answerEnded(exchange, filling, contextFor);
  const span = size === undefined ? undefined : requestedSpan(range, size);
  return stream(exchange, filling, { contextFor, span });
}

/** Undefined too if the request has If-Range, which a response without validators never satisfies. */
function requestedRange({ request }: DownloadExchange): string | undefined {
  const { range, "if-range": ifRange } = request.headers;
  return request.method === "GET" && ifRange === undefined ? range : undefined;
}

/** Waits for the end of the fill, then answers a sound body as a stored object, also if the disk has refused it. */
async function answerEnded(exchange: DownloadExchange, filling: Filling, contextFor: ContextFor): Promise<void> {
  const { request } = exchange;
  const end = await filling.reader.end();
  if (end.kind === "failed") throw end.error;
  if (!("head" in end)) throw new HuiyuanError("not_found", "Cannot answer: the origin has no such image");
  const { spool } = end.head;
  if ("info" in end && damageOf(end) === undefined) {
    const isWhole = end.kind === "whole";
    const context = contextFor(isWhole ? "stored" : "filling", isWhole);
    const read: ReadAt = (offset) => spool.peek(offset) ?? spool.read(offset, context.client());
    return answerObject(exchange, end.info, { kind: "read", read }, context);
  }
  if (wantsVersion(request)) throw unproven();
  const span = requestedSpan(requestedRange(exchange), spool.received);
  await stream(exchange, { ...filling, head: end.head, isSuspect: true }, { contextFor, span });
}

async function stream(
  exchange: DownloadExchange,
  { head, reader, isSuspect }: Filling,
  { contextFor, span }: { readonly contextFor: ContextFor; readonly span: ByteRange | undefined },
): Promise<void> {
  const { request, response, requestId } = exchange;
  const size = head.size ?? Number.POSITIVE_INFINITY;
  const writeHead = ({ headers }: AnswerContext) =>
    response.writeHead(span === undefined ? 200 : 206, bodyHeaders(head, span), ...headers, [
      "X-Request-Id",
      requestId,
    ]);
  if (request.method === "HEAD") {
    writeHead(contextFor(isSuspect ? "suspect" : "filling", false));
    response.end();
    return;
  }
  const read: ReadAt = (offset) => head.spool.peek(offset) ?? reader.read(head, offset);
  const part = span ?? { start: 0, end: size - 1 };
  const isLast = (offset: number, chunk: Buffer | undefined) =>
    chunk !== undefined && offset + chunk.byteLength >= size;
  const ended = async () => {
    const end = await reader.end();
    if (end.kind === "failed") throw end.error;
    // A suspect that was known at the start is marked in the head. Damage that is found now must break the response.
    if (damageOf(end) !== "hash" || isSuspect) return end;
    throw new HuiyuanError("origin_hash_wrong", `Cannot end the answer: ${head.answer.url} declared another digest`);
  };
  // The first bytes decide between a response and an error: they may still be far ahead. If they are also the last
  // ones, the end of the fill decides too.
  const first = await read(part.start, part.end);
  const end = isLast(part.start, first) ? await ended() : undefined;
  const context = contextFor(isSuspect || damageOf(end) !== undefined ? "suspect" : "filling", false);
  await spend(context);
  writeHead(context);
  // The last piece of a declared length is held until the fill has ended: with it the client has a whole body.
  const held = async (offset: number, last: number, ready: ReturnType<ReadAt>) => {
    const chunk = await ready;
    if (isLast(offset, chunk)) await ended();
    exchange.bodyBytes += Math.min(chunk?.byteLength ?? 0, last - offset + 1);
    return chunk;
  };
  await pump(
    response,
    (offset, last) => held(offset, last, offset === part.start ? first : read(offset, last)),
    part,
    context.client(),
  );
  if (head.size === undefined) await ended();
  response.end();
}

function bodyHeaders(head: FillHead, span: ByteRange | undefined): HeaderList {
  const headers = [
    "Content-Type",
    MEDIA_TYPES[head.image.format],
    "X-Content-Type-Options",
    "nosniff",
    "Accept-Ranges",
    "bytes",
  ];
  if (head.image.format === "svg") headers.push(...SVG_POLICY);
  headers.push(...Object.entries(head.answer.headers).flat());
  if (span !== undefined) {
    headers.push(
      "Content-Length",
      String(span.end - span.start + 1),
      "Content-Range",
      `bytes ${span.start}-${span.end}/${head.size}`,
    );
  } else if (head.size !== undefined) {
    headers.push("Content-Length", String(head.size));
  }
  return headers;
}

/** Answers a HEAD by the origin's own answer to a HEAD. It has no Content-Type, because no byte proves the type. */
export function answerOriginHead(exchange: DownloadExchange, answer: OriginAnswer, context: AnswerContext): void {
  const headers = ["X-Content-Type-Options", "nosniff", "Accept-Ranges", "bytes", "X-Request-Id", exchange.requestId];
  if (answer.size !== undefined) headers.push("Content-Length", String(answer.size));
  exchange.response.writeHead(200, headers, ...context.headers);
  exchange.response.end();
}

/** The error for a request that names a version, of an image without proof: no validators, so no version matches. */
function unproven(): HuiyuanError {
  return new HuiyuanError(
    "precondition_failed",
    "Cannot answer: the request names a version, and the image is not proven whole",
  );
}
