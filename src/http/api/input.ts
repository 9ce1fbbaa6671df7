// Parses the input of admin API calls, once, into the exact types of the call's schema. Everything is bounded, and
// unknown fields are refused: a misspelt field of a call that changes something must not be ignored.
import type { HonoRequest } from "hono";
import * as z from "zod";
import { HuiyuanError } from "../../core/errors.ts";

/** The unparsed fields of one call. */
type Input = Readonly<Record<string, unknown>>;

const MAX_BODY_BYTES = 1_048_576;

/** Parses the JSON object in a request body. Throws request_invalid, with status 413 or 415 if these say more. */
export function bodyReader<Schema extends z.ZodObject>(
  schema: Schema,
): (request: HonoRequest) => Promise<z.output<Schema>> {
  return async (request) => {
    const type = request.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
    // Protects against CSRF: a page of another site cannot send this type without a preflight.
    if (type !== "application/json")
      throw invalid("the body must be JSON, with Content-Type: application/json", { answerStatus: 415 });
    return readFields(parse(await readText(request.raw.body)), schema);
  };
}

/** Parses the parameters of a query, whose numbers are texts. Throws request_invalid. */
export function queryReader<Schema extends z.ZodObject>(schema: Schema): (request: HonoRequest) => z.output<Schema> {
  const numbers = Object.entries(schemaOf(schema).properties ?? {}).flatMap(([name, property]) => {
    const type = typeof property === "object" ? property.type : undefined;
    return type === "integer" || type === "number" ? [name] : [];
  });
  return (request) => {
    const all = request.queries();
    const repeated = Object.keys(all).find((name) => (all[name]?.length ?? 0) > 1);
    if (repeated !== undefined) throw invalid(`"${shown(repeated)}" is given twice`);
    const input: Record<string, unknown> = { ...request.query() };
    for (const name of numbers) {
      const value = input[name];
      if (typeof value === "string" && /^\d{1,15}$/.test(value)) input[name] = Number(value);
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

function parse(body: string): Input {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw invalid("the body is not JSON"); // The message of V8 would quote the body.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body must be a JSON object");
  return value as Input; // An object, by the check above.
}

async function readText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const bytes = await collect(body).catch((error: unknown) => {
    // Errors of the stream itself: the caller disconnected, or broke its framing.
    throw error instanceof HuiyuanError ? error : invalid("the body is incomplete");
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("the body is not UTF-8"); // The only way in which decode() fails.
  }
}

async function collect(body: ReadableStream<Uint8Array> | null): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  // A throw out of the loop cancels the body.
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > MAX_BODY_BYTES) throw invalid(`the body has more than ${MAX_BODY_BYTES} bytes`, { answerStatus: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
