// Registers the calls of the admin API. The schema of a call parses its input and is also its description in
// openapi.ts.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, Hono } from "hono";
import * as z from "zod";
import { collect } from "../../async/pauses.ts";
import type { Operation } from "../operations/operation.ts";
import { invalid, queryReader, readBody } from "./input.ts";

/** The body of a 200: JSON, text, server-sent events, or lines: a JSON object each, last `{ end }` or `{ error }`. */
export type CallAnswer =
  | { readonly json: z.ZodType }
  | { readonly event: z.ZodType }
  | { readonly line: z.ZodType; readonly end: z.ZodType }
  | { readonly mediaType: string };

/** `input`: the query of a `get` and of a `put`, whose body is an object's bytes; the JSON body of a `post`. */
export interface Call {
  readonly method: "get" | "post" | "put";
  /** Below /api/v1. */
  readonly path: string;
  readonly summary: string;
  readonly input: z.ZodObject;
  readonly answer: CallAnswer;
}

/** The parsed input of a call with these fields. */
export type InputOf<Fields extends z.ZodRawShape> = z.output<z.ZodObject<Fields>>;

/** Errors that `handle` throws become error answers. */
type AddCall = <Fields extends z.ZodRawShape>(
  path: string,
  about: { readonly summary: string; readonly fields: Fields; readonly answer: CallAnswer },
  handle: (context: Context<ApiEnv>, input: InputOf<Fields>) => Response | Promise<Response>,
) => void;

export interface Calls {
  readonly get: AddCall;
  readonly post: AddCall;
  /** The body is `incoming`'s: its handler reads it and then calls assertAllowed(), or refuses it. */
  readonly put: AddCall;
  /** All registered calls. */
  readonly list: readonly Call[];
}

export function createCalls(api: Hono<ApiEnv>): Calls {
  const list: Call[] = [];
  const withQuery =
    (method: "get" | "put"): AddCall =>
    (path, { summary, fields, answer }, handle) => {
      const input = z.object(fields);
      list.push({ method, path, summary, input, answer });
      const read = queryReader(input);
      api.on(method.toUpperCase(), path, (context) => handle(context, read(context.req)));
    };
  return {
    get: withQuery("get"),
    put: withQuery("put"),
    post(path, { summary, fields, answer }, handle) {
      const input = z.object(fields);
      list.push({ method: "post", path, summary, input, answer });
      api.post(path, async (context) => {
        const isAllowed = context.get("isAllowed")?.();
        const body = await readBody(context.req, input, isAllowed);
        // A login has no session yet.
        if (isAllowed === true) assertAllowed(context);
        return handle(context, body);
      });
    },
    list,
  };
}

/**
 * Must be called once the body has arrived, which may take minutes. Throws request_invalid, with status 401, if the
 * session or token of the request has ended meanwhile.
 */
export function assertAllowed(context: Context<ApiEnv>): void {
  if (context.get("isAllowed")?.() === false)
    throw invalid("the session or the admin token ended before the body had arrived", { answerStatus: 401 });
}

/** Answers with a list of any length as the only field, `name`. */
export async function listAnswer<Item>(
  context: Context<ApiEnv>,
  name: string,
  all: Iterable<Item>,
  view: (item: Item) => object,
): Promise<Response> {
  const items = await collect(all, (item) => JSON.stringify(view(item)));
  return jsonAnswer(context, `{${JSON.stringify(name)}:[${items.join(",")}]}`);
}

/** `json`: a text, which is not parsed. */
export function jsonAnswer(context: Context<ApiEnv>, json: string): Response {
  return context.body(json, 200, { "Content-Type": "application/json" });
}

/** The Hono environment of a request to the admin API. */
export interface ApiEnv {
  /** Both are absent if a command calls the API inside its own process. */
  readonly Bindings: { readonly incoming?: IncomingMessage; readonly outgoing?: ServerResponse };
  readonly Variables: {
    readonly requestId: string;
    /** The address of the caller; undefined if a command calls the API inside its own process. */
    readonly client?: string;
    /** Whether the request has a session or token that is still good. Undefined as `client`. */
    readonly isAllowed?: () => boolean;
    /** Adds an entry to the operation log; undefined before the routes of the API. */
    readonly record?: (operation: Operation) => void;
  };
}
