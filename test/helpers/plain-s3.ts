// A small S3 client for tests that shares no code with the program: it signs with node:crypto and sends with node:http.
// It reads objects as any other S3 tool would.
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { buffer } from "node:stream/consumers";

export interface PlainS3Options {
  /** `http://host:port` */
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface PlainS3 {
  /** Sends a signed request and returns any response. `key` undefined: the bucket itself. */
  send(method: string, bucket: string, key?: string, more?: S3Request): Promise<S3Answer>;
  /** Throws on failure. No effect if the bucket exists. */
  makeBucket(bucket: string): Promise<void>;
  /** Throws on failure. `headers`: content-type, x-amz-meta-… and so on. */
  put(bucket: string, key: string, body: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<void>;
  /** Returns the object, or undefined for NoSuchKey. Throws for any other error. */
  get(bucket: string, key: string): Promise<S3Answer | undefined>;
  /** Throws on failure. */
  remove(bucket: string, key: string): Promise<void>;
  /** Lists all keys with the prefix, in the store's order. */
  list(bucket: string, prefix?: string): Promise<string[]>;
}

export interface S3Request {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export function plainS3(options: PlainS3Options): PlainS3 {
  const send: PlainS3["send"] = async (method, bucket, key, { query = {}, headers = {}, body } = {}) => {
    const path = `/${bucket}${key === undefined ? "" : `/${key.split("/").map(percentEncode).join("/")}`}`;
    const search = Object.entries(query)
      .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
      .sort()
      .join("&");
    const payload = body ?? Buffer.alloc(0);
    const signed = sign(options, { method, path, search, headers, payload });
    const outgoing = request(options.url, {
      method,
      path: search === "" ? path : `${path}?${search}`,
      headers: { ...signed, "content-length": payload.byteLength },
    });
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error(`${method} ${path}: no answer in 20 s`)));
    outgoing.end(payload);
    const [incoming] = await once(outgoing, "response");
    return { status: incoming.statusCode, headers: incoming.headers, body: await buffer(incoming) };
  };

  const must = async (what: string, answer: Promise<S3Answer>, ...statuses: number[]): Promise<S3Answer> => {
    const { status, headers, body } = await answer;
    if (!statuses.includes(status)) throw new Error(`Cannot ${what}: ${status} ${body.toString()}`);
    return { status, headers, body };
  };

  return {
    send,
    async makeBucket(bucket) {
      await must(`make ${bucket}`, send("PUT", bucket), 200, 409);
    },
    async put(bucket, key, body, headers = {}) {
      await must(`put ${key}`, send("PUT", bucket, key, { body, headers }), 200);
    },
    async get(bucket, key) {
      const answer = await must(`get ${key}`, send("GET", bucket, key), 200, 404);
      if (answer.status === 200) return answer;
      if (/<Code>NoSuchKey</.test(answer.body.toString())) return undefined;
      throw new Error(`Cannot get ${key}: ${answer.body.toString()}`);
    },
    async remove(bucket, key) {
      await must(`remove ${key}`, send("DELETE", bucket, key), 204);
    },
    async list(bucket, prefix = "") {
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const query = { "list-type": "2", prefix, ...(token === undefined ? {} : { "continuation-token": token }) };
        const page = (await must(`list ${bucket}`, send("GET", bucket, undefined, { query }), 200)).body.toString();
        keys.push(...[...page.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, text = ""]) => plainText(text)));
        token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1];
      } while (token !== undefined);
      return keys;
    },
  };
}

interface ToSign {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function sign({ url, region, accessKeyId, secretAccessKey }: PlainS3Options, parts: ToSign): Record<string, string> {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const headers: Record<string, string> = {
    host: new URL(url).host,
    "x-amz-content-sha256": createHash("sha256").update(parts.payload).digest("hex"),
    "x-amz-date": time,
  };
  for (const [name, value] of Object.entries(parts.headers)) headers[name.toLowerCase()] = value.trim();
  const names = Object.keys(headers).sort();
  const canonical = [
    parts.method,
    parts.path,
    parts.search,
    ...names.map((name) => `${name}:${headers[name]}`),
    "",
    names.join(";"),
    headers["x-amz-content-sha256"],
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  const hmac = (key: string | Buffer, value: string) => createHmac("sha256", key).update(value).digest();
  const key = [day, region, "s3", "aws4_request"].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
  const signature = hmac(key, text).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, authorization };
}

/** Percent-encodes every UTF-8 byte except unreserved characters. */
function percentEncode(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function plainText(xml: string): string {
  return xml.replace(/&(?:#x([0-9A-Fa-f]+)|#(\d+)|(\w+));/g, (all, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? all;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}
