// An origin `site` with short deadlines in front of a scripted origin, and a sink that collects a body's events.
import { SILENT_LOG } from "../../src/core/log.ts";
import { toKey } from "../../src/core/object.ts";
import {
  createHttpOrigin,
  type HttpOriginOptions,
  type OriginTimeouts,
} from "../../src/serve/origin/kinds/http-origin.ts";
import { type SiteOptions, siteRules } from "../../src/serve/origin/kinds/site.ts";
import type {
  NotModified,
  Origin,
  OriginAnswer,
  OriginBody,
  OriginRequest,
  OriginSink,
} from "../../src/serve/origin/origin.ts";

/** Long enough for a busy machine in tests where no deadline should expire; a test shortens the one that it tests. */
const PATIENT: OriginTimeouts = { connect: 3000, firstByte: 3000, idle: 3000, total: 5000 };

/** A site at `url`; private addresses are allowed unless `options` says otherwise. */
export function siteAt(
  url: string,
  options: Partial<Omit<SiteOptions & HttpOriginOptions, "timeouts">> & {
    readonly timeouts?: Partial<OriginTimeouts>;
  } = {},
): Origin {
  const site = {
    url,
    allowPrivate: true,
    connections: 8,
    userAgent: "Huiyuan/test",
    serverId: "test",
    log: SILENT_LOG,
    ...options,
    timeouts: { ...PATIENT, ...options.timeouts },
  };
  return createHttpOrigin(site, siteRules(site));
}

/** A GET request for `key` with a limit of 1 MiB; `changes` override its fields. */
export function ask(key: string, changes: Partial<OriginRequest> = {}): OriginRequest {
  return {
    key: toKey(key),
    path: toKey(key),
    query: "",
    headers: {},
    followsRedirects: true,
    method: "GET",
    via: undefined,
    cdnLoop: undefined,
    maxBytes: 1_048_576,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** The events that a sink received: all bytes, and the error, or undefined for a proper end. */
export interface Heard {
  readonly bytes: Buffer;
  readonly error: unknown;
}

/** Starts a body and collects it to its end. */
export function gather(body: OriginBody): Promise<Heard> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const done = (error: unknown) => resolve({ bytes: Buffer.concat(chunks), error });
    const sink: OriginSink = {
      data: (bytes) => {
        chunks.push(bytes);
        return true;
      },
      end: () => done(undefined),
      error: done,
    };
    body.start(sink);
  });
}

/** The result of fetch() for an unconditional request. */
export async function answerOf(
  fetched: Promise<OriginAnswer | NotModified | undefined>,
): Promise<OriginAnswer | undefined> {
  const answer = await fetched;
  if (answer?.isNotModified === true) throw new Error("not modified, although nothing was asked for");
  return answer;
}

/** Fetches and collects. Throws fetch()'s errors, and an error if the object is absent. */
export async function fetchWhole(
  site: Origin,
  key: string,
  changes: Partial<OriginRequest> = {},
): Promise<Heard & { readonly answer: OriginAnswer }> {
  const answer = await answerOf(site.fetch(ask(key, changes)));
  if (answer === undefined) throw new Error(`${key} is absent`);
  return { answer, ...(await gather(answer.body)) };
}

/** The error code with which `work` fails; `none` if it does not fail. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "none";
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}
