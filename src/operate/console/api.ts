// The calls of the admin API. A failure is a Problem, whose message was written for operators.
import { signal } from "@preact/signals";
import type { SessionAnswer } from "../admin/contract/contract.ts";

/** The server's answer to a call that it refused or that failed. `status` 0: there was no answer. */
export class Problem extends Error {
  readonly status: number;
  readonly code: number;
  readonly requestId: string;

  constructor(status: number, { code = 0, message = "", requestId = "" }: Partial<Problem> = {}) {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `unknown`: the server was not asked yet. `closed`: the token is needed. */
export const access = signal<"unknown" | "open" | "closed">("unknown");
/** False: the port needs no token, so there is nothing to log out of. */
export const hasSession = signal(false);
let csrfToken: string | undefined;

/** Asks whether this browser may use the API. Throws a Problem if the server does not answer. */
export async function openSession(): Promise<void> {
  take(await send<SessionAnswer>("/session", {}));
}

/** Throws a Problem for a wrong token. */
export async function logIn(token: string): Promise<void> {
  take(await post<SessionAnswer>("/session", { token }));
}

export async function logOut(): Promise<void> {
  await post("/session/end", {});
  access.value = "closed";
}

function take(session: SessionAnswer): void {
  csrfToken = session.csrfToken;
  hasSession.value = csrfToken !== undefined;
  access.value = session.isOpen ? "open" : "closed";
}

export function get<Answer>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer> {
  return send<Answer>(pathOf(path, query), { signal: signal ?? null });
}

export function post<Answer>(path: string, body: object, signal?: AbortSignal): Promise<Answer> {
  const init = { method: "POST", body: JSON.stringify(body), signal: signal ?? null };
  return send<Answer>(path, { ...init, headers: { "Content-Type": "application/json" } });
}

/** Sends the bytes of a file. `sent` gets the share of them that has left, from 0 to 1; fetch() would not tell it. */
export function put(path: string, query: Query, file: Blob, sent: (share: number) => void): Promise<void> {
  const request = new XMLHttpRequest();
  request.open("PUT", urlOf(path, query));
  request.responseType = "json";
  if (csrfToken !== undefined) request.setRequestHeader("X-CSRF-Token", csrfToken);
  return new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => sent(loaded / total);
    request.onload = () => (request.status === 200 ? resolve() : reject(refusal(request.status, request.response)));
    request.onerror = () => reject(new Problem(0));
    request.send(file);
  });
}

/** A URL of the API for a link or an image. */
export function urlOf(path: string, query: Query = {}): string {
  return `/api/v1${pathOf(path, query)}`;
}

/** Calls `take` for each line of an answer of many lines. Throws the Problem of its last line too. */
export async function postLines<Line extends object>(
  path: string,
  body: object,
  take: (line: Line) => void,
  signal?: AbortSignal,
): Promise<void> {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await answerOf(path, { ...init, signal: signal ?? null });
  let rest = "";
  for await (const text of textsOf(answer)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((each) => each.trim() !== "")) {
      const value = JSON.parse(line) as Line & { readonly error?: Partial<Problem> };
      if (value.error !== undefined) throw new Problem(answer.status, value.error);
      take(value);
    }
  }
}

async function* textsOf({ body }: Response): AsyncGenerator<string, void, undefined> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) yield part.value;
}

async function send<Answer>(path: string, init: RequestInit): Promise<Answer> {
  return (await answerOf(path, init)).json() as Promise<Answer>;
}

async function answerOf(path: string, init: RequestInit): Promise<Response> {
  const headers = { ...init.headers, ...(csrfToken !== undefined && { "X-CSRF-Token": csrfToken }) };
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${path}`, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new Problem(0);
  }
  if (answer.ok) return answer;
  throw refusal(answer.status, (await answer.json().catch(() => ({}))) as Partial<Problem>);
}

/** `answer` is null if it was no JSON. */
function refusal(status: number, answer: Partial<Problem> | null): Problem {
  if (status === 401) access.value = "closed";
  return new Problem(status, answer ?? {});
}

/** The words of a failed call. */
export const problemOf = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(0));

function pathOf(path: string, query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
