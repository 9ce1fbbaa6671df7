// A stand-in for a Qiniu download domain: serves objects under their keys. In a private bucket it requires a valid
// download token, and checks it without any code of the program.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface QiniuStandInOptions {
  /** Key → bytes, or key and query → the processed bytes. May change while the server runs. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  /** Undefined: the bucket is public. */
  readonly keys?: { readonly accessKey: string; readonly secretKey: string };
  /** Required Referer (防盗链); any other is refused. */
  readonly referer?: string;
}

/** One request, as in Qiniu's access log. */
export interface QiniuRequest {
  readonly key: string;
  /** The query without the token's parameters; empty if nothing else is left. */
  readonly query: string;
  readonly method: string;
  readonly status: number;
  /** The token's deadline, Unix seconds; undefined without a token. */
  readonly deadline: number | undefined;
}

export interface QiniuStandIn {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly requests: readonly QiniuRequest[];
  close(): Promise<void>;
}

/** The caller closes the server. */
export async function startQiniuStandIn(options: QiniuStandInOptions): Promise<QiniuStandIn> {
  const requests: QiniuRequest[] = [];
  const server = createServer((request, response) => {
    const target = request.url ?? "";
    const key = decodeURIComponent(target.slice(1).split("?", 1)[0] ?? "");
    const deadline = /[?&]e=(\d+)/.exec(target)?.[1];
    const query = (target.split("?", 2)[1] ?? "").replace(/&?\b(?:e|token)=[^&]*/g, "");
    const object = options.objects.get(`${key}?${query}`) ?? options.objects.get(key);
    const { status, error } = judge(options, {
      url: `http://${request.headers.host}${target}`,
      referer: request.headers.referer,
      isThere: object !== undefined,
    });
    requests.push({
      key,
      query,
      method: request.method ?? "",
      status,
      deadline: deadline === undefined ? undefined : Number(deadline),
    });
    const body = object === undefined || error !== undefined ? Buffer.from(JSON.stringify({ error })) : object;
    const type = error === undefined ? "image/jpeg" : "application/json";
    response.writeHead(status, { "Content-Type": type, "Content-Length": body.byteLength, "X-ReqId": "stand-in" });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a string
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Verdict {
  readonly status: number;
  readonly error?: string;
}

function judge(
  { keys, referer }: QiniuStandInOptions,
  asked: { readonly url: string; readonly referer: string | undefined; readonly isThere: boolean },
): Verdict {
  if (referer !== undefined && asked.referer !== referer) return { status: 403, error: "invalid referer" };
  if (keys !== undefined) {
    const fault = tokenFault(asked.url, keys);
    if (fault !== undefined) return { status: 401, error: fault };
  }
  return asked.isThere ? { status: 200 } : { status: 404, error: "Document not found" };
}

/** https://developer.qiniu.com/kodo/1202/download-token */
function tokenFault(
  url: string,
  { accessKey, secretKey }: { accessKey: string; secretKey: string },
): string | undefined {
  const cut = url.lastIndexOf("&token=");
  if (cut < 0) return "token not specified";
  const [signed, token] = [url.slice(0, cut), url.slice(cut + "&token=".length)];
  const deadline = Number(/[?&]e=(\d+)$/.exec(signed)?.[1]);
  if (!(deadline > Date.now() / 1_000)) return "token out of date";
  const [id, mac = ""] = token.split(":");
  if (id !== accessKey) return "no such access key";
  const wanted = createHmac("sha1", secretKey).update(signed, "utf8").digest();
  const given = Buffer.from(mac.replace(/-/g, "+").replace(/_/g, "/"), "base64");
  const isPadded = mac.length === 28 && mac.endsWith("=");
  return isPadded && given.length === wanted.length && timingSafeEqual(given, wanted) ? undefined : "bad token";
}

export interface QiniuListingOptions {
  readonly bucket: string;
  /** Key → bytes. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly keys: { readonly accessKey: string; readonly secretKey: string };
  /** Items of a page at most, whatever the client's limit is. */
  readonly pageItems?: number;
  /** Answers a request, counted from 1, in place of the listing. Undefined: the listing answers. */
  readonly instead?: (count: number) => { readonly status: number; readonly body: string } | undefined;
}

export interface QiniuListing {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** The query of each request. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/**
 * A stand-in for the host that lists buckets (version 1, rsf.qbox.me). It checks every signature and every marker
 * without any code of the program. The caller closes it.
 */
export async function startQiniuListing(options: QiniuListingOptions): Promise<QiniuListing> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const target = request.url ?? "";
    requests.push(target.slice(target.indexOf("?") + 1));
    const { status, body } =
      options.instead?.(requests.length) ?? listingAnswer(options, target, request.headers.authorization ?? "");
    response.writeHead(status, { "Content-Type": "application/json", "X-ReqId": "stand-in" });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a string
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function listingAnswer(
  { bucket, objects, keys, pageItems = 1_000 }: QiniuListingOptions,
  target: string,
  token: string,
) {
  const refusal = (status: number, error: string) => ({ status, body: JSON.stringify({ error }) });
  const mac = createHmac("sha1", keys.secretKey).update(`${target}\n`).digest("base64");
  const wanted = `QBox ${keys.accessKey}:${mac.replace(/\+/g, "-").replace(/\//g, "_")}`;
  if (token !== wanted) return refusal(401, "bad token");
  const [path, query] = target.split("?");
  if (path !== "/list") return refusal(404, "no such api");
  const asked = new URLSearchParams(query);
  if (asked.get("bucket") !== bucket) return refusal(631, "no such bucket");
  const limit = Number(asked.get("limit"));
  if (!(limit >= 1 && limit <= 1_000)) return refusal(400, "invalid limit");
  const marker = asked.get("marker");
  const behind = marker === null ? undefined : keyOfMarker(marker);
  if (marker !== null && behind === undefined) return refusal(400, "invalid marker");
  const sorted = [...objects.keys()].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  const from = behind === undefined ? 0 : sorted.indexOf(behind) + 1;
  const names = sorted.slice(from, from + Math.min(limit, pageItems));
  const last = names.at(-1);
  const items = names.map((key) => {
    const body = objects.get(key) ?? Buffer.alloc(0);
    const hash = createHash("sha1").update(body).digest("base64url");
    return { key, hash, fsize: body.byteLength, mimeType: "image/jpeg", putTime: 13_603_956_734_587_420, type: 0 };
  });
  const isEnd = last === undefined || from + names.length === sorted.length;
  return { status: 200, body: JSON.stringify({ items, ...(isEnd ? {} : { marker: markerOf(last) }) }) };
}

function markerOf(key: string): string {
  return Buffer.from(JSON.stringify({ c: 0, k: key })).toString("base64url");
}

function keyOfMarker(marker: string): string | undefined {
  try {
    const { c, k } = JSON.parse(Buffer.from(marker, "base64url").toString());
    return c === 0 && typeof k === "string" ? k : undefined;
  } catch {
    return undefined; // no marker of this server
  }
}
