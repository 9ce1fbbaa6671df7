// Describes the admin API in OpenAPI 3.1, from the contracts of its calls. Pure.
import * as z from "zod";
import { bareSchemaOf as bare, jsonContent as json, schemaOf } from "../input.ts";
import { type CallAnswer, type Contract, problem } from "./contract.ts";

export function describeApi(calls: readonly Contract[], version: string): object {
  const paths: Record<string, object> = {};
  for (const call of calls) {
    const path = `/api/v1${call.path}`;
    paths[path] = { ...paths[path], [call.method]: operation(call) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Huiyuan admin API",
      version,
      description: "On the admin port. Changes and fetches of many objects answer with one JSON object a line.",
    },
    servers: [{ url: "http://127.0.0.1:8081" }],
    security: [{ adminToken: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        adminToken: { type: "http", scheme: "bearer", description: "server.adminToken, if one is set." },
        session: {
          ...{ type: "apiKey", in: "cookie", name: "huiyuan_session" },
          description: "Of a browser that has logged in; over TLS its name begins with `__Host-`. See `/session`.",
        },
      },
      responses: { Problem: { description: "Refused; nothing was changed.", content: json(problem) } },
    },
  };
}

function operation({ method, path, summary, fields, answer }: Contract): object {
  const input = z.object(fields);
  return {
    operationId: `${method}${path.replace(/[^a-z]+(.)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    ...(method !== "post" && Object.keys(fields).length > 0 && { parameters: parameters(input) }),
    ...(method === "post" && { requestBody: { required: true, content: json(input) } }),
    ...(method === "put" && { requestBody: { required: true, content: BYTES } }),
    responses: {
      200: { description: "Done, or in progress.", content: content(answer) },
      ...Object.fromEntries(FAILURES[method].map(toProblem)),
    },
  };
}

const BYTES = {
  "application/octet-stream": { schema: { type: "string", contentMediaType: "application/octet-stream" } },
};
const FAILURES = {
  get: [400, 401, 429, 500, 503],
  post: [400, 401, 403, 409, 413, 415, 429, 500, 503],
  put: [400, 401, 403, 411, 413, 429, 500, 503, 507],
};
const toProblem = (status: number) => [status, { $ref: "#/components/responses/Problem" }] as const;

function parameters(input: z.ZodObject): readonly object[] {
  const { properties = {}, required = [] } = schemaOf(input);
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = schema as { description?: string };
    return { name, in: "query", required: required.includes(name), ...(description && { description }), schema: rest };
  });
}

function content(answer: CallAnswer): object {
  if ("json" in answer) return json(answer.json);
  if ("mediaType" in answer) return { [answer.mediaType]: { schema: { type: "string" } } };
  const last = (properties: object) => ({ type: "object", properties, required: Object.keys(properties) });
  const description =
    "One line. The last is `end` with the counts, or `error`; without either the answer is incomplete.";
  const anyOf = [
    bare(answer.line),
    last({ end: bare(answer.end) }),
    last({ error: bare(problem.omit({ faults: true })) }),
  ];
  return { "application/x-ndjson": { schema: { description, anyOf } } };
}
