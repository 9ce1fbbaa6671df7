// A small in-memory S3 on a real socket, scripted by a test: it obeys or ignores conditions, fails, goes silent, cuts
// responses, sends wrong bytes. It checks no signature; tests of real server behaviour use a real server.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { S3Place } from "./s3-store.ts";

export interface ScriptedObject {
  bytes: Buffer;
  headers: Record<string, string>;
}

/** A status with an error code, a page from a proxy before S3, a reset, or silence. */
type Refusal = { readonly status: number; readonly code: string } | { readonly page: number } | "reset" | "hang";

/**
 * The request takes effect. `reset-after`: then the connection is reset. `late`: the connection is reset at once, and
 * the request takes effect after the promise resolves. `twice`: a proxy repeats the request and returns the second
 * response.
 */
type CarriedOut = { readonly late: Promise<void> } | "reset-after" | "twice";

export type Failure = Refusal | CarriedOut;

export interface ScriptedS3 extends S3Place {
  /** Name → object, in the only bucket, whatever its name. */
  readonly objects: Map<string, ScriptedObject>;
  /** `METHOD name` of every request, without query. */
  readonly asked: string[];
  /** False: conditional headers of changes are accepted and ignored. */
  obeysConditions: boolean;
  /** True: the If-Match of a change holds only for an entity tag without quotes, as with Ceph RGW. */
  wantsBareTags: boolean;
  /** Called before each request; undefined: the request takes effect. */
  failure: (method: string, name: string) => Failure | undefined | Promise<Failure | undefined>;
  /** False: it behaves like a server that supports only version 1 of listings. */
  knowsStartAfter: boolean;
  /** Number of names in all listings so far. */
  listedNames: number;
  /** Cuts the connection after this many body bytes. */
  cutAfter: number | undefined;
  /** True: each connection closes after its response. */
  hangsUp: boolean;
  /** False: no response has a request id. */
  saysRequestId: boolean;
  /** Lower-case names of headers that responses about an object omit. */
  lacks: readonly string[];
  /** True: every response to HEAD has Content-Length 0, as through some proxies. */
  saysLength0: boolean;
  /** True: flips the last bit of every body that it sends. */
  spoils: boolean;
  close(): Promise<void>;
}

export async function startScriptedS3(): Promise<ScriptedS3> {
  const server = createServer((request, response) => {
    if (s3.hangsUp) response.setHeader("Connection", "close");
    answer(s3, request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const s3: ScriptedS3 = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: "test",
    accessKeyId: "key",
    secretAccessKey: "secret",
    objects: new Map(),
    asked: [],
    obeysConditions: true,
    wantsBareTags: false,
    failure: () => undefined,
    knowsStartAfter: true,
    listedNames: 0,
    cutAfter: undefined,
    hangsUp: false,
    saysRequestId: true,
    lacks: [],
    saysLength0: false,
    spoils: false,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return s3;
}

async function answer(s3: ScriptedS3, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "GET", headers } = request;
  const url = new URL(request.url ?? "/", s3.url);
  const name = decodeURIComponent(url.pathname.replace(/^\/[^/]+\/?/, ""));
  s3.asked.push(`${method} ${name}`);
  const body = await buffer(request);
  if (s3.saysRequestId) response.setHeader("x-amz-request-id", String(s3.asked.length));
  const failure = await s3.failure(method, name);
  if (failure !== undefined && !isCarriedOut(failure)) return refuseBy(failure, request, response);
  if (typeof failure === "object") await lateness(failure, request);
  if (name === "") return void response.end(listing(s3, url.searchParams));
  const found = s3.objects.get(name);
  const etag = found === undefined ? undefined : etagOf(found.bytes);
  const wanted = s3.wantsBareTags && method === "PUT" ? etag?.replaceAll('"', "") : etag;
  if ((s3.obeysConditions || method === "GET") && !holds(headers, wanted))
    return void refuse(response, 412, "PreconditionFailed");
  if (method === "PUT") return put(s3, { name, body, failure }, request, response);
  if (method === "DELETE") {
    s3.objects.delete(name);
    return void response.writeHead(204).end();
  }
  if (found === undefined) return void refuse(response, 404, "NoSuchKey");
  send(s3, { method, range: headers.range, found }, response);
}

function put(
  s3: ScriptedS3,
  { name, body, failure }: { name: string; body: Buffer; failure: CarriedOut | undefined },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { headers } = request;
  const source = headers["x-amz-copy-source"];
  const from =
    typeof source === "string" ? s3.objects.get(decodeURIComponent(source.replace(/^\/[^/]+\//, ""))) : undefined;
  if (source !== undefined && from === undefined) return void refuse(response, 404, "NoSuchKey");
  const wanted = headers["x-amz-copy-source-if-match"];
  if (from !== undefined && wanted !== etagOf(from.bytes)) return void refuse(response, 412, "PreconditionFailed");
  const etag = etagOf(from?.bytes ?? body);
  s3.objects.set(name, { bytes: from?.bytes ?? body, headers: kept(headers) });
  if (failure === "reset-after") return void request.socket.resetAndDestroy();
  if (failure === "twice" && !holds(headers, etag)) return void refuse(response, 412, "PreconditionFailed");
  response.writeHead(200, { etag }).end(from === undefined ? "" : "<CopyObjectResult/>");
}

const isCarriedOut = (failure: Failure): failure is CarriedOut =>
  failure === "reset-after" || failure === "twice" || (typeof failure === "object" && "late" in failure);

function refuseBy(failure: Refusal, request: IncomingMessage, response: ServerResponse): void {
  if (failure === "hang") return;
  if (failure === "reset") return void request.socket.resetAndDestroy();
  if ("page" in failure) {
    response.removeHeader("x-amz-request-id");
    return void response.writeHead(failure.page).end("<html>maintenance</html>");
  }
  refuse(response, failure.status, failure.code);
}

async function lateness({ late }: { late: Promise<void> }, request: IncomingMessage): Promise<void> {
  request.socket.resetAndDestroy();
  await late;
}

function send(
  s3: ScriptedS3,
  { method, range, found }: { method: string; range: string | undefined; found: ScriptedObject },
  response: ServerResponse,
): void {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  const asked = start === undefined ? found.bytes : found.bytes.subarray(Number(start), Number(end) + 1);
  const bytes = s3.spoils ? spoilt(asked) : asked;
  const length = method === "HEAD" && s3.saysLength0 ? 0 : bytes.length;
  const head = { ...found.headers, etag: etagOf(found.bytes), "content-length": String(length) };
  const said = Object.entries(head).filter(([header]) => !s3.lacks.includes(header));
  response.writeHead(start === undefined ? 200 : 206, Object.fromEntries(said));
  if (method === "HEAD") response.end();
  else if (s3.cutAfter === undefined) response.end(bytes);
  else response.write(bytes.subarray(0, s3.cutAfter), () => response.destroy());
}

function spoilt(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const last = copy.length - 1;
  copy.writeUInt8(copy.readUInt8(last) ^ 1, last);
  return copy;
}

function holds(headers: IncomingMessage["headers"], etag: string | undefined): boolean {
  if (headers["if-none-match"] === "*" && etag !== undefined) return false;
  return headers["if-match"] === undefined || headers["if-match"] === etag;
}

function listing(s3: ScriptedS3, query: URLSearchParams): string {
  const { objects } = s3;
  const prefix = query.get("prefix") ?? "";
  const after = (s3.knowsStartAfter ? query.get("start-after") : undefined) ?? "";
  const limit = Math.min(1_000, Number(query.get("max-keys") ?? 1_000));
  // S3 sorts by UTF-8 bytes.
  const byBytes = (one: string, other: string) => Buffer.compare(Buffer.from(one), Buffer.from(other));
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && byBytes(name, after) > 0).sort(byBytes);
  const contents = names.slice(0, limit).map((name) => {
    const { bytes } = objects.get(name) ?? { bytes: Buffer.alloc(0) };
    return `<Contents><Key>${encodeURIComponent(name)}</Key><ETag>${etagOf(bytes)}</ETag><Size>${bytes.length}</Size></Contents>`;
  });
  s3.listedNames += contents.length;
  const isTruncated = names.length > limit;
  return `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${contents.join("")}</ListBucketResult>`;
}

function kept(headers: IncomingMessage["headers"]): Record<string, string> {
  const names = Object.keys(headers).filter((name) => name === "content-type" || name.startsWith("x-amz-meta-"));
  return Object.fromEntries(names.map((name) => [name, String(headers[name])]));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/xml" }).end(`<Error><Code>${code}</Code></Error>`);
}

function etagOf(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}
