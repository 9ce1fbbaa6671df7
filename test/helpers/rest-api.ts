// Calls the REST API as its clients do, byte for byte if that matters. For tests only.
import { request } from "node:http";
import { connect } from "node:net";
import { makeToken } from "../../src/serve/sign/token.ts";
import { APPID, KEYS } from "./settings.ts";

export interface TokenWish {
  readonly appid?: string;
  readonly bucket?: string | undefined;
  readonly fileid?: string;
  /** Seconds from now; undefined: a one-time token. */
  readonly life?: number | undefined;
  readonly userid?: string;
  readonly key?: { readonly secretId: string; readonly secretKey: string };
  /** Unix seconds; default now. */
  readonly issuedAt?: number;
}

let random = 0;

/** Returns a token signed with the test project's first key; each token differs. */
export function tokenFor(options: TokenWish): string {
  const { appid = APPID, fileid = "", life, userid = "0", key = KEYS[0] } = options;
  const bucket = "bucket" in options ? options.bucket : "photos";
  const { issuedAt = Math.floor(Date.now() / 1_000) } = options;
  random += 1;
  const expires = life === undefined ? 0 : issuedAt + life;
  return makeToken({ appid, bucket, secretId: key.secretId, expires, issuedAt, random, userid, fileid }, key.secretKey);
}

/** A multi-use token for one hour, bound to a file if one is given. */
export function uploadToken(fileid = "", bucket = "photos"): string {
  return tokenFor({ bucket, fileid, life: 3_600 });
}

/** A one-time token for one copy or delete of a file. */
export function onceToken(fileid: string, bucket = "photos"): string {
  return tokenFor({ bucket, fileid });
}

export interface FormPart {
  readonly name: string;
  readonly content: Buffer | string;
  readonly filename?: string;
  /** Additional header lines of the part. */
  readonly headers?: readonly string[];
}

export interface MadeForm {
  readonly contentType: string;
  readonly body: Buffer;
}

export function makeForm(parts: readonly FormPart[], boundary = "----------------------------7e1d2c3b4a5f"): MadeForm {
  const pieces = parts.flatMap(({ name, content, filename, headers = [] }) => {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const head = [`Content-Disposition: form-data; name="${name}"${file}`, ...headers].join("\r\n");
    return [Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), Buffer.from(content as string), Buffer.from("\r\n")];
  });
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

export function fileForm(image: Buffer, fields: Readonly<Record<string, string>> = {}): MadeForm {
  const named = Object.entries(fields).map(([name, content]) => ({ name, content }));
  return makeForm([{ name: "FileContent", content: image, filename: "a.jpg" }, ...named]);
}

export interface ApiResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly code: number;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Number of chunks in which the body arrived. */
  readonly chunks: number;
}

export interface CallOptions {
  readonly port: number;
  /** The raw path below `/photos/v2/<appid>/photos/0`. */
  readonly path?: string;
  /** The whole target, instead of `path`. */
  readonly target?: string;
  readonly method?: string;
  readonly sign?: string | undefined;
  readonly form?: MadeForm | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly host?: string;
}

/** Makes one call; rejects if the response is no whole JSON document. */
export function callApi(options: CallOptions): Promise<ApiResult> {
  const { port, path = "", target = `/photos/v2/${APPID}/photos/0${path}`, sign, form, headers = {} } = options;
  const { method = form === undefined ? "GET" : "POST", host = "web.image.myqcloud.com" } = options;
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port,
      path: target,
      method,
      agent: false,
      signal: AbortSignal.timeout(60_000),
      headers: {
        host,
        ...(sign === undefined ? {} : { authorization: `QCloud ${sign}` }),
        ...(form === undefined ? {} : { "content-type": form.contentType, "content-length": form.body.byteLength }),
        ...(form === undefined && method === "POST" ? { "content-length": "0" } : {}),
        ...headers,
      },
    });
    sent.on("error", reject);
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        try {
          const { code, message, data } = JSON.parse(Buffer.concat(chunks).toString());
          const { statusCode: status = 0, headers: got } = response;
          resolve({ status, headers: got, code, message, data, chunks: chunks.length });
        } catch (error) {
          reject(error);
        }
      });
    });
    sent.end(form?.body);
  });
}

export interface RawResult extends Pick<ApiResult, "status" | "code" | "message" | "data"> {
  /** Everything before the final response head, such as a 100. */
  readonly before: string;
  readonly head: string;
}

/**
 * Sends bytes and reads one response. `pieces` are sent in turn, each once its `when` has been seen in the response so
 * far. Closes the connection afterwards.
 */
export function callRaw(
  port: number,
  pieces: readonly (string | Buffer | { readonly when: string; readonly send: Buffer })[],
): Promise<RawResult> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const waiting = [...pieces];
    let received = "";
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no whole answer, but: ${received.slice(0, 300)}`)));
    const send = () => {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        if (typeof next === "object" && "when" in next) {
          if (!received.includes(next.when)) return;
          socket.write(next.send);
        } else socket.write(typeof next === "string" ? Buffer.from(next, "latin1") : next);
        waiting.shift();
      }
    };
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      send();
      const answer = wholeAnswer(received);
      if (answer === undefined) return;
      socket.destroy();
      resolve(answer);
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed before a whole answer: ${received.slice(0, 300)}`)));
  });
}

function wholeAnswer(received: string): RawResult | undefined {
  const [, before = "", head = "", rest = ""] =
    /^((?:HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)*)(HTTP\/1\.1 [2-5]\d\d .*?\r\n)\r\n(.*)$/s.exec(received) ?? [];
  const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? Number.NaN);
  if (!(rest.length >= length)) return undefined;
  // A second response may follow, if bytes after the request formed another one.
  const { code, message, data } = JSON.parse(Buffer.from(rest.slice(0, length), "latin1").toString());
  return { status: Number(head.slice(9, 12)), before, head, code, message, data };
}
