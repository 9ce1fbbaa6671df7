// Registers the calls of the admin API. The schema of a call parses its input and is also its description in
// openapi.ts.

import type { IncomingMessage } from "node:http";
import type { Context, Hono } from "hono";
import type * as z from "zod";
import { bodyReader, queryReader } from "./input.ts";

/** The body of a 200. `lines`: one JSON object a line, the last one `{ end }` or `{ error }`. */
export type CallAnswer =
  | { readonly kind: "json"; readonly schema: z.ZodType }
  | { readonly kind: "lines"; readonly line: z.ZodType; readonly end: z.ZodType }
  | { readonly kind: "text"; readonly mediaType: string };

/** `input`: the query of a `get`, the JSON body of a `post`. */
export interface Call<Schema extends z.ZodObject = z.ZodObject> {
  readonly method: "get" | "post";
  /** Below /api/v1. */
  readonly path: string;
  readonly summary: string;
  readonly input: Schema;
  readonly answer: CallAnswer;
}

export interface Calls {
  /** Errors that `handle` throws become error answers. */
  add<Schema extends z.ZodObject>(
    call: Call<Schema>,
    handle: (context: Context<ApiEnv>, input: z.output<Schema>) => Response | Promise<Response>,
  ): void;
  /** All registered calls. */
  readonly list: readonly Call[];
}

export function createCalls(api: Hono<ApiEnv>): Calls {
  const list: Call[] = [];
  return {
    add(call, handle) {
      list.push(call);
      if (call.method === "get") {
        const read = queryReader(call.input);
        api.get(call.path, (context) => handle(context, read(context.req)));
      } else {
        const read = bodyReader(call.input);
        api.post(call.path, async (context) => handle(context, await read(context.req)));
      }
    },
    list,
  };
}

/** The Hono environment of a request to the admin API. */
export interface ApiEnv {
  /** `incoming` is absent if a command calls the API inside its own process. */
  readonly Bindings: { readonly incoming?: IncomingMessage };
  readonly Variables: { readonly requestId: string };
}
