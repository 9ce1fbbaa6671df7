// The walk of one download, top to bottom: host → token and Referer → key and instruction → memory → bucket → origin.
// A hit in memory runs through the same lines as every other request, synchronously.
import { asHuiyuanError, errorRow, HuiyuanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Join, MissAnswer } from "../mirror/mirror.ts";
import type { Found } from "../mirror/stored.ts";
import type { Key } from "../object.ts";
import { tokenFromQuery } from "../sign/token.ts";
import { type AnswerContext, answerObject } from "./answer.ts";
import { answerAsked, answerFilling } from "./answer-filling.ts";
import type { AnswerState } from "./cache-control.ts";
import { corsHeaders, preflightHeaders } from "./cors.ts";
import { sendError } from "./error-answer.ts";
import { beginExchange, type DownloadRequest, type Exchange, type Outcome } from "./exchange.ts";
import { readInstruction, splitStyle } from "./instruction.ts";
import { refererVerdict } from "./referer.ts";
import type { DownloadResponse } from "./response.ts";
import type { Admission, Site, Sites } from "./site.ts";
import { parseTarget } from "./target.ts";

export interface DownloadOptions {
  /** The snapshot in force; replaced by a reload. */
  readonly sites: () => Sites;
  readonly nextRequestId: () => string;
  readonly log: Log;
  /** Called once for every request, when its answer has been decided and its head written. */
  readonly answered: (exchange: Exchange) => void;
}

/** A request that may be served: from where, what, and under which token. */
interface Admitted {
  readonly site: Site;
  readonly key: Key;
  readonly admission: Admission;
  readonly exchange: Exchange;
}

const OPEN: Admission = { scope: { kind: "none" }, spend: undefined };
const READ_BYTES = 262_144;

/** What the download port does with a request, whoever read it. */
export function createDownloads(
  options: DownloadOptions,
): (request: DownloadRequest, response: DownloadResponse) => void {
  const { log, answered } = options;
  const fail = (exchange: Exchange, error: unknown) => {
    const known = asHuiyuanError(error);
    const { response, requestId } = exchange;
    const isGone = known.code === "client_gone";
    exchange.outcome = { kind: isGone ? "other" : "error", tier: "none" };
    exchange.errorCode = known.code;
    if (errorRow(known.code).status === 500) log.error({ requestId, err: known }, "a request failed");
    else if (response.headersSent && !isGone) log.warn({ requestId, err: known }, "an answer was broken off");
    // Once the head is out never a clean end: the client must see that the body is not whole.
    if (response.headersSent || response.destroyed) response.destroy();
    else sendError(exchange, known);
  };

  /** Undefined: answered within this turn. */
  const begin = (exchange: Exchange): void | Promise<void> => {
    try {
      const admitted = admit(exchange, options.sites());
      return admitted === undefined ? undefined : serve(admitted);
    } catch (error) {
      return fail(exchange, error);
    }
  };

  return (request, response) => {
    const exchange = beginExchange(request, response, options.nextRequestId());
    const rest = begin(exchange);
    if (rest === undefined) answered(exchange);
    else void rest.catch((error: unknown) => fail(exchange, error)).then(() => answered(exchange));
  };
}

/** Undefined: answered already (a CORS preflight). Throws the 4xx and 501 codes; no I/O. */
function admit(exchange: Exchange, sites: Sites): Admitted | undefined {
  const { request } = exchange;
  const hosts = hostsOf(request);
  // RFC 9112 §3.2: HTTP/1.0 alone may leave it out.
  if (hosts.length === 0 && request.httpVersion !== "1.0")
    throw new HuiyuanError("host_invalid", "Cannot serve: the request has no Host header");
  const target = parseTarget(request.url ?? "", hosts);
  const site = sites.find(target.host);
  if (site === undefined)
    throw new HuiyuanError("domain_unknown", `Cannot serve host "${target.host}": no bucket is bound to it`);
  exchange.site = site;
  if (request.method === "OPTIONS") {
    exchange.response.writeHead(204, [
      ...preflightHeaders(site.cors, request.headers.origin),
      "X-Request-Id",
      exchange.requestId,
    ]);
    exchange.response.end();
    return undefined;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new HuiyuanError("method_not_allowed", `Cannot serve ${request.method}: only GET, HEAD and OPTIONS are`);
  }
  if (!site.isProjectEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  const { sign, rest } = tokenFromQuery(target.rawQuery);
  const referer = refererVerdict(request.headers.referer, site.referers);
  if (referer === "refused") throw new HuiyuanError("referer_refused", "Cannot serve: the Referer is not allowed");
  const admission = site.admit === undefined || referer === "listed" ? OPEN : site.admit(sign, target.key);
  if (readInstruction(rest).kind === "processing") throw unsupported(target.key);
  return { exchange, site, key: target.key, admission };
}

/** Every Host header there was; more than one is refused by parseTarget. */
function hostsOf(request: DownloadRequest): readonly string[] {
  const { rawHeaders } = request;
  const hosts: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string; // rawHeaders holds pairs
    if (name.length === 4 && name.toLowerCase() === "host") hosts.push(rawHeaders[index + 1] as string);
  }
  return hosts;
}

/** Undefined when the answer went out synchronously, from memory. */
function serve(admitted: Admitted): void | Promise<void> {
  const object = admitted.site.stored.peek(admitted.key);
  if (object === undefined) return serveCold(admitted);
  const { exchange } = admitted;
  exchange.outcome = FROM_MEMORY;
  return answerObject(
    exchange,
    object.info,
    { kind: "memory", body: object.body },
    contextOf(admitted, "stored", CACHE_STATUS.memory),
  );
}

const FROM_MEMORY: Outcome = { kind: "hit", tier: "memory" };
const CACHE_STATUS = {
  memory: "huiyuan; hit; detail=memory",
  bucket: "huiyuan; hit; detail=bucket",
  spool: "huiyuan; hit; detail=spool",
  missed: "huiyuan; fwd=uri-miss",
  stored: "huiyuan; fwd=uri-miss; stored",
  collapsed: "huiyuan; fwd=uri-miss; collapsed",
};

async function serveCold(admitted: Admitted): Promise<void> {
  try {
    await serveFound(admitted, await admitted.site.stored.find(admitted.key));
  } catch (error) {
    const isDamaged = error instanceof HuiyuanError && error.code === "store_corrupt";
    if (!isDamaged || admitted.exchange.response.headersSent) throw error;
    // The store has set the damaged object aside; the origin may still have it.
    await serveFound(admitted, await admitted.site.stored.find(admitted.key));
  }
}

async function serveFound(admitted: Admitted, found: Found): Promise<void> {
  const { exchange, key } = admitted;
  switch (found.state) {
    case "memory":
    case "loaded": {
      exchange.outcome = found.state === "memory" ? FROM_MEMORY : { kind: "hit", tier: "bucket" };
      const status = found.state === "memory" ? CACHE_STATUS.memory : CACHE_STATUS.bucket;
      return answerObject(
        exchange,
        found.object.info,
        { kind: "memory", body: found.object.body },
        contextOf(admitted, "stored", status),
      );
    }
    case "large": {
      exchange.outcome = { kind: "hit", tier: "bucket" };
      const { info, reader } = found;
      try {
        const read = (offset: number, end: number) => reader.read(offset, Math.min(end, offset + READ_BYTES - 1));
        await answerObject(exchange, info, { kind: "read", read }, contextOf(admitted, "stored", CACHE_STATUS.bucket));
      } finally {
        reader.close();
      }
      return;
    }
    case "tombstone":
      throw new HuiyuanError("deleted", `Cannot serve "${key}": it was deleted`);
    case "absent":
      return serveMissing(admitted, found.epoch);
  }
}

async function serveMissing(admitted: Admitted, epoch: number): Promise<void> {
  const { site, key, exchange } = admitted;
  const styled = site.separators.length === 0 ? undefined : splitStyle(key, site.separators);
  if (styled !== undefined && site.aliases.has(styled.style)) throw unsupported(key);
  if (site.mirror === undefined) {
    if (styled !== undefined && (await exists(site, styled.base))) {
      throw new HuiyuanError("style_unknown", `Cannot serve "${key}": "${styled.style}" is no style`);
    }
    throw new HuiyuanError(
      "not_found",
      `Cannot serve "${key}": the bucket has no such image and the domain no mirror source`,
    );
  }
  const { headers, method } = exchange.request;
  const miss = await site.mirror.fetch({
    key,
    epoch,
    path: key,
    query: "",
    headers: {},
    followsRedirects: true,
    method: method === "HEAD" ? "HEAD" : "GET",
    via: headers.via,
    cdnLoop: headers["cdn-loop"] as string | undefined,
    signal: clientSignal(exchange),
  });
  await serveMiss(admitted, miss);
}

async function serveMiss(admitted: Admitted, miss: MissAnswer): Promise<void> {
  const { exchange } = admitted;
  exchange.outcome = { kind: "miss", tier: "origin" };
  if (miss.kind === "asked")
    return answerAsked(exchange, miss.answer, contextOf(admitted, "filling", CACHE_STATUS.missed));
  try {
    if (miss.kind === "filling") {
      const { how } = miss;
      await answerFilling(exchange, miss, (state, isProven) => contextOf(admitted, state, missStatus(how, isProven)));
      return;
    }
    if (miss.how === "after") exchange.outcome = { kind: "hit", tier: "spool" };
    const { info, head } = miss;
    const whole = head.spool.end?.kind === "whole" ? head.spool.end.body.content : undefined;
    const read = (offset: number) => head.spool.peek(offset) ?? head.spool.read(offset, clientSignal(exchange));
    const bytes =
      whole?.kind === "buffer" ? ({ kind: "memory", body: whole.buffer } as const) : ({ kind: "read", read } as const);
    await answerObject(exchange, info, bytes, contextOf(admitted, "stored", missStatus(miss.how, true)));
  } finally {
    miss.release();
  }
}

function missStatus(how: Join, isProven: boolean): string {
  if (how === "collapsed") return CACHE_STATUS.collapsed;
  if (how === "after" && isProven) return CACHE_STATUS.spool;
  return isProven ? CACHE_STATUS.stored : CACHE_STATUS.missed;
}

async function exists(site: Site, key: Key): Promise<boolean> {
  return (await site.stored.bucket.lookup(key)).state === "object";
}

function contextOf({ site, exchange, admission }: Admitted, state: AnswerState, cacheStatus: string): AnswerContext {
  const { headers } = exchange.request;
  const list = ["Cache-Control", site.cacheControl(admission.scope, state), "Cache-Status", cacheStatus];
  // One Vary line: some caches read only the first.
  const isByReferer = site.referers.mode !== "off";
  for (const value of corsHeaders(site.cors, headers.origin)) {
    list.push(isByReferer && value === "Origin" ? "Origin, Referer" : value);
  }
  if (isByReferer && !list.includes("Vary")) list.push("Vary", "Referer");
  if (state === "suspect") list.push("X-ErrNo", "-120");
  return { headers: list, spend: admission.spend, client: () => clientSignal(exchange) };
}

/** Aborts when the client has left before its answer ended. Made when first needed: a hit in memory needs none. */
function clientSignal(exchange: Exchange): AbortSignal {
  if (exchange.client === undefined) {
    const controller = new AbortController();
    exchange.client = controller.signal;
    const { response } = exchange;
    if (response.destroyed) controller.abort(clientGone());
    else response.onceGone(() => controller.abort(clientGone()));
  }
  return exchange.client;
}

function clientGone(): HuiyuanError {
  return new HuiyuanError("client_gone", "Cannot answer: the client has closed the connection");
}

function unsupported(key: Key): HuiyuanError {
  return new HuiyuanError("processing_unsupported", `Cannot process "${key}": image processing is not supported yet`);
}
