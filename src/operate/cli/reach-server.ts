// Finds the server of a command: the one of --admin, or the one of the settings file. If none answers, it opens the
// data folder in this process, under its lock. Also the client of the admin API: JSON answers, and streams of JSON
// lines.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { HuiyuanError } from "../../core/errors.ts";
import { readAddress, type ServerAddress } from "../../settings/address.ts";
import { SettingsFaults } from "../../settings/faults.ts";
import type { AnswerOf, Contract, EndOf, GivenTo, PlaceOf, Problem } from "../admin/contract/contract.ts";
import type { Terminal } from "./terminal.ts";

/** Environment variable of the token if no settings file has it. */
export const ADMIN_TOKEN_VARIABLE = "HUIYUAN_ADMIN_TOKEN";

export interface Reached {
  readonly client: AdminClient;
  /** Waits for started work, then closes. */
  close(): Promise<void>;
}

export interface AdminFlags {
  readonly config: string;
  /** URL of an admin port. With it, the settings file is not read. */
  readonly admin?: string;
  readonly json: boolean;
}

// A busy server may take seconds.
const PROBE_MS = 10_000;
// Time for started fetches and pending writes to end.
const DRAIN_MS = 60_000;

/** Throws SettingsFaults, request_invalid if another program answers, and the codes of openOperatedService(). */
export async function reachServer({ config, admin }: AdminFlags, terminal: Terminal): Promise<Reached> {
  if (admin !== undefined) return serverAt(admin);
  const address = await readAddress(config, process.env);
  return (address && (await runningServer(address))) ?? openData(config, terminal);
}

export interface Running extends Reached {
  /** fetch() with the token, for bodies of any kind; `path` begins with /api/v1. */
  send(path: string, init: RequestInit): Promise<Response>;
}

/** The server with this URL of its admin port. Throws request_invalid if none answers. */
export async function serverAt(admin: string): Promise<Running> {
  const base = new URL(admin).origin;
  if (await isAnswering(base)) return running(base, process.env[ADMIN_TOKEN_VARIABLE]);
  throw new HuiyuanError("request_invalid", `no server answers at ${base}: is it running?`);
}

/** The server of these settings; undefined if none listens. Throws as reachServer(). */
export async function runningServer(server: ServerAddress): Promise<Running | undefined> {
  const base = baseOf(server);
  if (base === undefined || !(await isAnswering(base))) return undefined;
  return running(base, server.adminToken ?? process.env[ADMIN_TOKEN_VARIABLE]);
}

function running(base: string, token = ""): Running {
  const own = token === "" ? {} : { Authorization: `Bearer ${token}` };
  const answered = async <Answer>(answer: Promise<Answer>, signal: AbortSignal | null | undefined) => {
    try {
      return await answer;
    } catch (cause) {
      if (signal?.aborted === true) throw cause;
      throw new HuiyuanError("request_invalid", `the server at ${base} no longer answers`, { cause });
    }
  };
  const client = createAdminClient((path, init) =>
    answered(requestOf(base + path, { ...init, headers: { ...own, ...init.headers } }), init.signal),
  );
  const send: Running["send"] = (path, { headers, ...init }) =>
    answered(
      fetch(base + path, { ...init, headers: { ...own, ...(headers as object) }, redirect: "error" }),
      init.signal,
    );
  return { send, client, async close() {} };
}

/** Opens the data folder in this process, because no server answers. */
async function openData(config: string, terminal: Terminal): Promise<Reached> {
  // Loaded only here: commands with a server do not need the whole program.
  const [{ loadSettings }, { openOperatedService }, { createApi }, { createRequestIds }, { createLogger }] =
    await Promise.all([
      import("../../settings/load.ts"),
      import("../operated-service.ts"),
      import("../api.ts"),
      import("../../serve/http/request/exchange.ts"),
      import("./logger.ts"),
    ]);
  const settings = await loadSettings(config, { env: process.env }).catch((error: unknown) => {
    if (!(error instanceof SettingsFaults)) throw error;
    const message = `${error.message}\nWithout this file, name the admin port of a running server: --admin URL`;
    throw new HuiyuanError("request_invalid", message, { cause: error });
  });
  const base = baseOf(settings.server);
  terminal.err.write(`no server answers at ${base ?? "the admin port"}; working on ${settings.data} directly\n`);
  const log = createLogger({ isInteractive: false, level: "warn", destination: terminal.err });
  const operated = await openOperatedService(settings, log).catch((error: unknown) => {
    if (!(error instanceof HuiyuanError) || error.code !== "data_locked") throw error;
    const where = base === undefined ? "adminPort is 0, so its address is not known" : `it does not answer at ${base}`;
    const message = `a server is running on ${settings.data}, but ${where}; name its admin port with --admin URL`;
    throw new HuiyuanError("data_locked", message, { cause: error });
  });
  const api = createApi({
    ...{ operated, log },
    place: () => settings.server,
    nextRequestId: createRequestIds(),
    healthPath: () => settings.server.healthPath,
    // Never aborted: Ctrl-C aborts the command's own requests.
    stopping: new AbortController().signal,
  });
  return {
    client: createAdminClient(async (path, init) => api.request(path, init, {})),
    async close() {
      await operated.service.drain({ fillMs: DRAIN_MS, storeMs: DRAIN_MS });
      await operated.close();
    },
  };
}

/** Undefined if the port is 0, which the system chooses. */
function baseOf({ adminHost, adminPort }: ServerAddress): string | undefined {
  if (adminPort === 0) return undefined;
  const host = { "0.0.0.0": "127.0.0.1", "::": "::1" }[adminHost] ?? adminHost;
  return `http://${host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host}:${adminPort}`;
}

/** False if nothing listens there. Throws request_invalid if another program listens. */
async function isAnswering(base: string): Promise<boolean> {
  const fail = (found: string, cause?: unknown): never => {
    throw new HuiyuanError("request_invalid", `Cannot reach the server at ${base}: ${found}`, { cause });
  };
  let response: Answered;
  try {
    response = await requestOf(`${base}/healthz`, { signal: AbortSignal.timeout(PROBE_MS) });
  } catch (error) {
    if (isRefused(error)) return false;
    return fail("it does not answer properly", error);
  }
  const health: unknown = await response.json().catch(() => undefined); // Not JSON, so another program.
  if ((health as { status?: unknown } | undefined)?.status === "alive") return true;
  return fail("another program listens there");
}

function isRefused(error: unknown): boolean {
  // All addresses of a name were refused.
  const causes = error instanceof AggregateError ? error.errors : [error];
  return causes.every((each) => (each as { code?: unknown } | undefined)?.code === "ECONNREFUSED");
}

/** The part of an answer that commands need; a Response is one, too. */
interface Answered {
  readonly ok: boolean;
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
  json(): Promise<unknown>;
}

interface RequestParts {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/**
 * By node:http: fetch() takes longer to load than a short command to run. Follows no redirects. Rejects with the errors
 * of node:http.
 */
async function requestOf(url: string, { body, ...init }: RequestParts): Promise<Answered> {
  const { request } = await (url.startsWith("https:") ? import("node:https") : import("node:http"));
  const sent = request(url, init);
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  // A later failure ends the body with an error, too.
  sent.on("error", () => undefined);
  const status = response.statusCode ?? 0;
  const json = async () => JSON.parse(Buffer.concat(await response.toArray()).toString());
  return { ok: status >= 200 && status < 300, status, body: response, json };
}

/** Sends one request; `path` begins with /api/v1. */
type SendRequest = (path: string, init: RequestParts) => Promise<Answered>;

/**
 * A client of the admin API. Answers are not checked against the contracts. All methods throw request_invalid with the
 * server's message if it refuses.
 */
export interface AdminClient {
  /** Leaves out undefined fields. */
  call<Call extends Contract>(at: PlaceOf<Call>, given: GivenTo<Call>): Promise<AnswerOf<Call>>;
  /**
   * Yields every line except the last. Throws request_invalid too if the stream ends before its last line; the yielded
   * lines say what was done until then. `ended` gets the last line's end.
   */
  stream<Call extends Contract>(
    at: PlaceOf<Call>,
    given: GivenTo<Call>,
    signal: AbortSignal,
    ended?: (end: EndOf<Call>) => void,
  ): AsyncIterable<AnswerOf<Call>>;
}

const API = "/api/v1";
const JSON_BODY = { "Content-Type": "application/json" };

function createAdminClient(send: SendRequest): AdminClient {
  const answerTo = (at: string, given: object, init: RequestParts = {}) => {
    const [method, path] = at.split(" ");
    if (method === "post")
      return accepted(send(API + path, { ...init, method: "POST", headers: JSON_BODY, body: JSON.stringify(given) }));
    const fields = Object.entries(given).filter(([, value]) => value !== undefined);
    return accepted(send(`${API}${path}?${new URLSearchParams(fields)}`, { ...init, method: "GET" }));
  };
  return {
    // Unchecked, as AdminClient says.
    call: async (at, given) => (await (await answerTo(at, given)).json()) as never,
    async *stream(at, given, signal, ended) {
      for await (const line of linesOf(await answerTo(at, given, { signal }))) {
        if (line.error !== undefined) throw refusal(line.error);
        if (line.end !== undefined) return ended?.(line.end as never);
        yield line as never;
      }
      throw new HuiyuanError("request_invalid", "the server closed the stream before it was done");
    },
  };
}

async function accepted(answer: Promise<Answered>): Promise<Answered> {
  const response = await answer;
  if (response.ok) return response;
  const { status } = response;
  // Not JSON: another program.
  const body = (await response.json().catch(() => undefined)) as Partial<Problem> | undefined;
  if (typeof body?.message === "string") throw refusal(body, status);
  throw new HuiyuanError("request_invalid", `the admin port answered ${status}: is it the admin port of huiyuan?`);
}

const NO_TOKEN = `the server wants its own admin token (server.adminToken): export ${ADMIN_TOKEN_VARIABLE}=…, or name the server's settings file with --config`;

function refusal({ message, requestId }: Partial<Problem>, status = 0): HuiyuanError {
  if (status === 401) return new HuiyuanError("request_invalid", NO_TOKEN);
  const id = status >= 500 && requestId !== undefined ? ` (see the server's log, ${requestId})` : "";
  return new HuiyuanError("request_invalid", `${message}${id}`);
}

async function* linesOf({ body }: Answered): AsyncIterable<{ readonly error?: Problem; readonly end?: object }> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
}
