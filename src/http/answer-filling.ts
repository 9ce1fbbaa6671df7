// Answers a download from a fill that still runs, or that ended without proof. No validators: a resume must never mix
// two versions. When the fill breaks the connection is broken; all bytes have gone out, only the clean end is withheld.
import { HuiyuanError } from "../errors.ts";
import type { FillHead } from "../mirror/fill.ts";
import type { MissAnswer } from "../mirror/mirror.ts";
import { type ByteRange, MEDIA_TYPES } from "../object.ts";
import type { OriginAnswer } from "../origin/origin.ts";
import { type AnswerContext, answerObject } from "./answer.ts";
import type { Exchange, HeaderList } from "./exchange.ts";
import { pump, type ReadAt } from "./pump.ts";
import { parseRange } from "./range.ts";

type Filling = Extract<MissAnswer, { kind: "filling" }>;

/** Sends what arrives as it arrives. The caller releases `filling`, and destroys the response when this throws. */
export async function answerFilling(exchange: Exchange, filling: Filling, context: AnswerContext): Promise<void> {
  const { request } = exchange;
  const wantsRange =
    request.headers.range !== undefined && request.headers["if-range"] === undefined && request.method === "GET";
  // Without a length an HTTP/1.0 client could not tell a broken body from a whole one, and a range has no meaning.
  const mustWait = filling.head.size === undefined && (wantsRange || request.httpVersion === "1.0");
  if (mustWait) return answerEnded(exchange, filling, context);
  const range =
    wantsRange && filling.head.size !== undefined
      ? parseRange(request.headers.range ?? "", filling.head.size)
      : undefined;
  if (range?.kind === "unsatisfiable") throw outside(filling.head.size ?? 0);
  if (range === undefined) return stream(exchange, filling, { context, span: undefined });
  const [only, second] = range.ranges;
  if (only === undefined || second !== undefined) return answerEnded(exchange, filling, context);
  return stream(exchange, filling, { context, span: only });
}

/** Waits for the end of the fill, then answers as from a stored object where it is one. */
async function answerEnded(exchange: Exchange, filling: Filling, context: AnswerContext): Promise<void> {
  const end = await filling.follower.end();
  if (end.kind === "failed") throw end.error;
  if (end.kind === "absent") throw new HuiyuanError("not_found", "Cannot answer: the origin has no such image");
  const { spool } = end.head;
  if (end.kind === "whole") {
    await answerObject(
      exchange,
      end.info,
      { kind: "read", read: (offset) => spool.read(offset, context.client()) },
      context,
    );
    return;
  }
  const range = parseRange(exchange.request.headers.range ?? "", spool.received);
  if (range?.kind === "unsatisfiable") throw outside(spool.received);
  const only = range?.ranges.length === 1 ? range.ranges[0] : undefined;
  await stream(exchange, { ...filling, head: end.head }, { context, span: only });
}

async function stream(
  exchange: Exchange,
  { head, follower }: Filling,
  { context, span }: { readonly context: AnswerContext; readonly span: ByteRange | undefined },
): Promise<void> {
  const { request, response, requestId } = exchange;
  const read: ReadAt = (offset) => head.spool.peek(offset) ?? follower.read(head, offset);
  const isHead = request.method === "HEAD";
  // A range may begin far behind the bytes that are there: its first byte decides between an answer and a 424.
  const first = isHead || span === undefined ? undefined : await read(span.start, span.end);
  if (context.spend !== undefined && !isHead && !(await context.spend())) {
    throw new HuiyuanError("sign_spent", "Cannot answer: the one-time signature has been used before");
  }
  const headers = [...bodyHeaders(head, span), ...context.headers, "X-Request-Id", requestId];
  response.writeHead(span === undefined ? 200 : 206, headers);
  if (!isHead) {
    const readOn: ReadAt = (offset, end) =>
      span !== undefined && offset === span.start && first !== undefined ? first : read(offset, end);
    await pump(
      response,
      readOn,
      span ?? { start: 0, end: (head.size ?? Number.POSITIVE_INFINITY) - 1 },
      context.client(),
    );
    // The last byte of a declared length may be there before the fill has failed; the end is told from the spool.
    if (span === undefined && (await follower.read(head, head.size ?? head.spool.received)) !== undefined) {
      throw new HuiyuanError("origin_truncated", "Cannot end the answer: more bytes came than were declared");
    }
  }
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

/** The origin's answer to a HEAD: its type is not proven by any byte, so none is said. */
export function answerAsked(exchange: Exchange, answer: OriginAnswer, context: AnswerContext): void {
  const headers = [
    "X-Content-Type-Options",
    "nosniff",
    "Accept-Ranges",
    "bytes",
    ...context.headers,
    "X-Request-Id",
    exchange.requestId,
  ];
  if (answer.size !== undefined) headers.push("Content-Length", String(answer.size));
  exchange.response.writeHead(200, headers);
  exchange.response.end();
}

function outside(size: number): HuiyuanError {
  return new HuiyuanError("range_unsatisfiable", `Cannot answer the range: the object has ${size} bytes`, {
    objectBytes: size,
  });
}
