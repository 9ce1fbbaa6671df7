// How commands speak with the admin API, wherever it is: JSON answers, and streams of lines that are known to be whole.
// Where it is, is found by reach-server.ts.
import { HuiyuanError } from "../core/errors.ts";

/** Sends one request; `path` begins with /api/v1. */
export type SendRequest = (path: string, init: RequestInit) => Promise<Response>;

export interface AdminClient {
  /** Parameters that are undefined are left out. Throws request_invalid with what the server said. */
  get(path: string, query?: Readonly<Record<string, string | number | undefined>>): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  /**
   * Every line but the last, which is returned. Throws request_invalid where the server refuses, and where the stream
   * ends before its last line: what was done until then is in the lines.
   */
  stream(path: string, body: object, signal: AbortSignal): AsyncGenerator<unknown, unknown, undefined>;
}

const API = "/api/v1";
// A line may name a key and quote a long message.
const MAX_LINE_CHARACTERS = 65_536;

export function createAdminClient(send: SendRequest): AdminClient {
  const post = (path: string, body: object, init: RequestInit = {}) =>
    send(`${API}${path}`, {
      ...init,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  return {
    async get(path, query = {}) {
      const parameters = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
      return answerOf(await send(`${API}${path}?${parameters}`, { method: "GET" }));
    },
    post: async (path, body) => answerOf(await post(path, body)),
    async *stream(path, body, signal) {
      const response = await post(path, body, { signal });
      if (!response.ok) throw await refusalOf(response);
      for await (const line of linesOf(response)) {
        if (isObject(line) && isObject(line.error)) throw refusal(line.error);
        if (isObject(line) && "end" in line) return line.end;
        yield line;
      }
      throw new HuiyuanError("request_invalid", "the server broke off before it was done");
    },
  };
}

async function answerOf(response: Response): Promise<unknown> {
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}

async function refusalOf(response: Response): Promise<HuiyuanError> {
  const body: unknown = await response.json().catch(() => undefined); // Not ours: no more is known than its status.
  if (isObject(body) && typeof body.message === "string") return refusal(body, response.status);
  return new HuiyuanError("request_invalid", `the admin port answered ${response.status}: is it huiyuan's?`);
}

function refusal(body: Readonly<Record<string, unknown>>, status = 0): HuiyuanError {
  const hint = status === 401 ? "; put it into HUIYUAN_ADMIN_TOKEN, or name the settings file with --config" : "";
  const id = status >= 500 && typeof body.requestId === "string" ? ` (see the server's log, ${body.requestId})` : "";
  return new HuiyuanError("request_invalid", `${String(body.message)}${hint}${id}`);
}

async function* linesOf(response: Response): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARACTERS) throw new HuiyuanError("request_invalid", "the server sends no lines");
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
