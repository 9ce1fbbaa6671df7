// The contract of a call of the admin API says once what the call takes and answers. The parser, OpenAPI and the
// commands read it, and the console takes its types. Here are also the shapes that several features share, and the
// contracts of the port itself. It has no handlers.
import * as z from "zod";
import { text } from "./fields.ts";

/** The body of a 200: JSON, text, or lines: a JSON object each, last `{ end }` or `{ error }`. */
export type CallAnswer =
  | { readonly json: z.ZodType }
  | { readonly line: z.ZodType; readonly end: z.ZodType }
  | { readonly mediaType: string };

type Method = "get" | "post" | "put";

export interface Contract<
  Fields extends z.ZodRawShape = z.ZodRawShape,
  Answer extends CallAnswer = CallAnswer,
  At extends readonly [Method, string] = readonly [Method, string],
> {
  readonly method: At[0];
  /** Below /api/v1. */
  readonly path: At[1];
  /** The least role that may make the call. No check reads it yet. */
  readonly role: "read" | "operate" | "admin";
  readonly summary: string;
  /** The query of a `get` and of a `put`, whose body is an object's bytes; the JSON body of a `post`. */
  readonly fields: Fields;
  readonly answer: Answer;
}

const withMethod =
  <By extends Method>(method: By) =>
  <const Path extends string, Answer extends CallAnswer, Fields extends z.ZodRawShape = Record<never, never>>(
    path: Path,
    role: Contract["role"],
    about: { readonly summary: string; readonly fields?: Fields; readonly answer: Answer },
  ): Contract<Fields, Answer, readonly [By, Path]> => ({ method, path, role, fields: {} as Fields, ...about });
export const get = withMethod("get");
export const post = withMethod("post");
export const put = withMethod("put");

/** A JSON answer with these fields. */
export const json = <Fields extends z.ZodRawShape>(fields: Fields) => ({ json: z.object(fields) });
export const listOf = <Fields extends z.ZodRawShape>(fields: Fields) => z.array(z.object(fields));

/** Method and path, such as `get /objects`: a caller needs no more of the contract than its type. */
export type PlaceOf<Call extends Contract> = `${Call["method"]} ${Call["path"]}`;
/** The input that a caller gives. */
export type GivenTo<Call extends Contract> = z.input<z.ZodObject<Call["fields"]>>;
/** The parsed input, which the handler gets. */
export type InputOf<Call extends Pick<Contract, "fields">> = z.output<z.ZodObject<Call["fields"]>>;
/** The answer, or one line of it. Times are ISO 8601; unknown fields are left out. */
export type AnswerOf<Call extends Contract> = Call["answer"] extends
  | { readonly json: infer Schema }
  | { readonly line: infer Schema }
  ? z.output<Schema>
  : never;
/** The counts in the last line. */
export type EndOf<Call> = Call extends { readonly answer: { readonly end: infer End extends z.ZodType } }
  ? z.output<End>
  : never;

// Shapes of answers.

export const time = z.iso.datetime();
export const bucketId = z.string().describe("`<appid>/<name>`");

/** Faults of a settings file. */
export const faults = listOf({
  path: z.string().describe("Dotted; empty for the file as a whole."),
  line: z.int().describe("From 1; 0 if the file cannot be read."),
  column: z.int(),
  message: z.string(),
  zh: z.string().describe("The message in Chinese."),
});

export const problem = z.object({
  code: z.int().describe("The X-ErrNo of the error."),
  message: z.string(),
  requestId: z.string().describe("The same id as in the log."),
  faults: faults
    .optional()
    .describe("Of settings that were refused; lines and columns are those of the proposed file."),
});

const milliseconds = z.number().describe("Milliseconds.");

/** The fields of an origin in the list of origins and in the live figures. */
export const originFields = {
  name: z.string().describe("Its address, without credentials."),
  state: z.enum(["closed", "open", "half-open"]).describe("State of its circuit breaker."),
  running: z.int().describe("Running requests, until the body has ended."),
  waiting: z.int().describe("Queued requests."),
  pausedMs: z.number().describe("Remaining pause that the origin requested with Retry-After."),
  latency: z
    .object({ p50: milliseconds, p90: milliseconds, p99: milliseconds, max: milliseconds })
    .optional()
    .describe("Times until response heads: the last 512 of the last five minutes."),
};

export const listBuckets = get("/buckets", "read", {
  summary: "List the buckets and their domains",
  answer: json({
    buckets: listOf({
      bucket: bucketId,
      takesUploads: z.boolean().describe("false: `access: download`."),
      domains: listOf({ domain: z.string().describe("`*`: every other host"), isMirrored: z.boolean() }),
    }),
  }),
});

const sessionAnswer = json({
  isOpen: z.boolean().describe("false: log in first."),
  csrfToken: z
    .string()
    .optional()
    .describe("Of this browser's session: send it as `X-CSRF-Token` with each call that is no GET."),
});

export const showSession = get("/session", "read", {
  summary: "Whether this browser may make calls; needs no token",
  answer: sessionAnswer,
});

export const logIn = post("/session", "read", {
  summary: "Log this browser in with the admin token, and set its cookie",
  fields: { token: text().describe("`server.adminToken`.") },
  answer: sessionAnswer,
});

export const logOut = post("/session/end", "read", { summary: "Log this browser out", answer: sessionAnswer });

export type BucketsAnswer = AnswerOf<typeof listBuckets>;
export type SessionAnswer = AnswerOf<typeof showSession>;
export type Problem = z.output<typeof problem>;
