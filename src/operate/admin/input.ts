// Parses the input of admin API calls, once, into the exact types of the call's schema. Everything is bounded, and
// unknown fields are refused: a misspelt field of a call that changes something must not be ignored.
import type { HonoRequest } from "hono";
import * as z from "zod";
import { withTimeout } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";

/** The unparsed fields of one call. */
type Input = Readonly<Record<string, unknown>>;

const MAX_BODY_BYTES = 1_048_576;
/** Anybody may send a login, so a flood of them must be cheap. */
const LOGIN_BODY_BYTES = 4_096;
const LOGIN_BODY_MS = 10_000;

/**
 * Parses the JSON object in a request body. `isAllowed`: false for a caller without a session or token. Throws
 * request_timeout, and request_invalid, with status 413 or 415 if these say more.
 */
export async function readBody<Schema extends z.ZodObject>(
  request: HonoRequest,
  schema: Schema,
  isAllowed = true,
): Promise<z.output<Schema>> {
  const type = request.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  // Protects against CSRF: a page of another site cannot send this type without a preflight.
  if (type !== "application/json")
    throw invalid("the body must be JSON, with Content-Type: application/json", { answerStatus: 415 });
  const maxBytes = isAllowed ? MAX_BODY_BYTES : LOGIN_BODY_BYTES;
  if (Number(request.header("content-length") ?? 0) > maxBytes) throw tooLong(maxBytes);
  const object = readObject(request.raw.body, maxBytes);
  const late = `the body did not arrive within ${LOGIN_BODY_MS / 1_000} s`;
  return readFields(await (isAllowed ? object : withTimeout(LOGIN_BODY_MS, object, late, "request_timeout")), schema);
}

/** Parses the parameters of a query, whose numbers and flags are texts. Throws request_invalid. */
export function queryReader<Schema extends z.ZodObject>(schema: Schema): (request: HonoRequest) => z.output<Schema> {
  const types = Object.entries(schemaOf(schema).properties ?? {}).map(
    ([name, property]) => [name, typeof property === "object" ? property.type : undefined] as const,
  );
  return (request) => {
    const all = request.queries();
    const repeated = Object.keys(all).find((name) => (all[name]?.length ?? 0) > 1);
    if (repeated !== undefined) throw invalid(`"${shown(repeated)}" is given twice`);
    const input: Record<string, unknown> = { ...request.query() };
    for (const [name, type] of types) {
      const value = input[name];
      if (typeof value !== "string") continue;
      if ((type === "integer" || type === "number") && /^\d{1,15}$/.test(value)) input[name] = Number(value);
      if (type === "boolean" && (value === "true" || value === "false")) input[name] = value === "true";
    }
    return readFields(input, schema);
  };
}

/** JSON Schema of the input. */
export function schemaOf(schema: z.ZodType) {
  return z.toJSONSchema(schema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
}

/** JSON Schema without `$schema`, because OpenAPI 3.1 defines the dialect. */
export function bareSchemaOf(schema: z.ZodType): object {
  const { $schema: _, ...rest } = schemaOf(schema);
  return rest;
}

/** The content of an OpenAPI request or response with a JSON body. */
export function jsonContent(schema: z.ZodType): object {
  return { "application/json": { schema: bareSchemaOf(schema) } };
}

function readFields<Schema extends z.ZodObject>(input: Input, schema: Schema): z.output<Schema> {
  const allowed = Object.keys(schema.shape);
  // Checked here and not by the schema, so that `__proto__` is refused too.
  const unknown = Object.keys(input).find((name) => !allowed.includes(name));
  if (unknown !== undefined)
    throw invalid(`"${shown(unknown)}" is not known here; there are ${allowed.join(", ") || "none"}`);
  const read = schema.safeParse(input);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const name = String(issue?.path[0] ?? "");
  throw invalid(input[name] === undefined ? `"${name}" is missing` : `"${name}" ${issue?.message ?? "is not valid"}`);
}

/** A request_invalid error; callers see the message. */
export function invalid(message: string, details: { readonly answerStatus?: number } = {}): HuiyuanError {
  return new HuiyuanError("request_invalid", message, details);
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40)).slice(1, -1);
}

async function readObject(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<Input> {
  const bytes = await collect(body, maxBytes).catch((error: unknown) => {
    // Errors of the stream itself: the caller disconnected, or broke its framing.
    throw error instanceof HuiyuanError ? error : invalid("the body is incomplete");
  });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)); // It removes a byte order mark.
  } catch {
    throw invalid("the body is not JSON in UTF-8"); // The message of V8 would quote the body.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body must be a JSON object");
  return value as Input; // An object, by the check above.
}

function tooLong(maxBytes: number): HuiyuanError {
  return invalid(`the body has more than ${maxBytes} bytes`, { answerStatus: 413 });
}

async function collect(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // A throw out of the loop cancels the body.
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > maxBytes) throw tooLong(maxBytes);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
