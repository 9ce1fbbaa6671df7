// A request to an admin port by node:http. fetch() takes longer to load than a short command to run.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";

/** The part of an answer that commands need; a Response is one, too. */
export interface Answered {
  readonly ok: boolean;
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
  json(): Promise<unknown>;
}

export interface RequestParts {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** Follows no redirects. Rejects with the errors of node:http. */
export async function requestOf(url: string, { body, ...init }: RequestParts): Promise<Answered> {
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
