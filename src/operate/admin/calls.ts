// Adds the handlers of the admin API's calls. The contract of a call parses its input, and describes it in OpenAPI.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, Hono } from "hono";
import * as z from "zod";
import { collect } from "../../async/pauses.ts";
import type { Contract, InputOf } from "./contract/contract.ts";
import { invalid, queryReader, readBody } from "./input.ts";
import type { Operation } from "./operation.ts";

/** Errors that `handle` throws become error answers. */
type Handler<Call extends Contract> = (context: Context<ApiEnv>, input: InputOf<Call>) => Response | Promise<Response>;

export interface Calls {
  /** The body of a `put` is `incoming`'s: its handler reads it and then calls assertAllowed(), or refuses it. */
  add<Call extends Contract>(call: Call, handle: Handler<Call>): void;
  /** All added calls. */
  readonly list: readonly Contract[];
}

export function createCalls(api: Hono<ApiEnv>): Calls {
  const list: Contract[] = [];
  return {
    add<Call extends Contract>(call: Call, handle: Handler<Call>) {
      list.push(call);
      const input: z.ZodObject<Call["fields"]> = z.object(call.fields);
      const read = call.method === "post" ? undefined : queryReader(input);
      api.on(call.method.toUpperCase(), call.path, async (context) => {
        if (read !== undefined) return handle(context, read(context.req));
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
