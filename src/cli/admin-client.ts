// A client of the admin API for commands: JSON answers, and streams of JSON lines that end with a last line.
// It does not know the server's address: reach-server.ts finds it.
import { HuiyuanError } from "../core/errors.ts";

/** Sends one request; `path` begins with /api/v1. */
export type SendRequest = (path: string, init: RequestInit) => Promise<Response>;

export interface AdminClient {
  /** Leaves out undefined parameters. Throws request_invalid with the server's message. */
  get(path: string, query?: Readonly<Record<string, string | number | undefined>>): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  /**
   * Yields every line except the last, which it returns. Throws request_invalid if the server refuses, or if the stream
   * ends before its last line; the yielded lines say what was done until then.
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
      throw new HuiyuanError("request_invalid", "the server closed the stream before it was done");
    },
  };
}

async function answerOf(response: Response): Promise<unknown> {
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}

async function refusalOf(response: Response): Promise<HuiyuanError> {
  const body: unknown = await response.json().catch(() => undefined); // Not JSON: only its status is known.
  if (isObject(body) && typeof body.message === "string") return refusal(body, response.status);
  return new HuiyuanError(
    "request_invalid",
    `the admin port answered ${response.status}: is it the admin port of huiyuan?`,
  );
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
    if (rest.length > MAX_LINE_CHARACTERS)
      throw new HuiyuanError("request_invalid", "the server sends a line that is too long");
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
