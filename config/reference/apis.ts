// Writes docs/reference/rest-api.md and admin-api.md from the OpenAPI documents that the admin port serves.
import { readVersion } from "../../src/core/version.ts";
import { type ApiOptions, createApi } from "../../src/operate/api.ts";
import { code, page, table } from "./markdown.ts";
import { describeRestApi } from "./rest-openapi.ts";
import { type Schema, typeText } from "./typescript.ts";

const REST_INTRO = `This page lists the calls of the REST API for uploads, in the form of 万象优图 V2. The guide with examples is
[Uploads](../guides/uploads.md).

- The API is on the download port, for every host name that serves no downloads.
- Calls with a signature send \`Authorization: QCloud <signature>\` or the parameter \`sign\`. Stat needs none.
- Success is status 200 with \`code: 0\`. Failure is status 400 with one of the codes below; [Errors](errors.md) says what to do.
- \`/photos/v1/{appid}/{userid}\` means the project's first bucket.`;

const ADMIN_INTRO = `This page lists the calls of the admin API on the admin port. The commands of [huiyuan](cli.md) make the same calls.
The admin port serves this page as OpenAPI: \`/api/v1/openapi.json\`.

- If \`server.adminToken\` is set, send \`Authorization: Bearer <adminToken>\`. A browser logs in with \`POST /api/v1/session\`:
  it then has a cookie, and sends \`X-CSRF-Token\` with each call that is no GET. Without both the answer is 401, without the CSRF token 403.
- After five wrong tokens in a row the next ones get 429 with \`Retry-After\`. The right token and sessions always pass.
- A \`GET\` takes its input as a query, a \`POST\` as a JSON body of at most 1 MiB (a login: 4 KiB) with \`Content-Type: application/json\`.
- A \`PUT\` takes its input as a query, and the bytes of an object as its body.
- Success is 200. Failure is another status, such as 400, 401 or 503, with \`{ "code": …, "message": …, "requestId": … }\`.
- \`code\` is the \`X-ErrNo\` of [Errors](errors.md). After a failure nothing was changed.
- A call for many objects answers with one JSON object a line. Without \`end\` or \`error\` in its last line, the answer is incomplete.`;

interface Content {
  readonly [mediaType: string]: { readonly schema: Schema };
}
interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: { readonly 200: { readonly content: Content } };
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, { readonly description: string }>> };
}

export function restApiPage(): string {
  const { paths, components } = describeRestApi(readVersion()) as Document;
  const [, failures = ""] = (components.responses.Failure?.description ?? "").split("\n\n");
  return page("REST API", REST_INTRO, ...callsOf(paths), "## Failures", failures);
}

export async function adminApiPage(): Promise<string> {
  // Only the document is requested, so the parts behind the calls are never used.
  const parts = { operated: { service: { registry: {} } }, server: {}, nextRequestId: () => "" };
  const answer = await createApi(parts as unknown as ApiOptions).request("/api/v1/openapi.json");
  return page("Admin API", ADMIN_INTRO, ...callsOf(((await answer.json()) as Document).paths));
}

function callsOf(paths: Document["paths"]): readonly string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => callOf(`${method.toUpperCase()} ${path}`, operation)),
  );
}

function callOf(title: string, { summary, description, parameters = [], requestBody, responses }: Operation): string[] {
  const [body] = Object.values(requestBody?.content ?? {});
  const fields = Object.entries((body?.schema.properties ?? {}) as Readonly<Record<string, Schema>>);
  const input = [
    ...parameters.map((each) => inputRow({ ...each, words: each.description })),
    ...fields.map(([name, schema]) => {
      const required = body?.schema.required?.includes(name) === true;
      return inputRow({ name, in: "body", required, words: schema.description, schema });
    }),
  ];
  const [[mediaType = "", { schema = {} } = {}] = []] = Object.entries(responses[200].content);
  // The data of server-sent events has a schema of its own.
  const shape = schema.contentSchema ?? schema;
  const answer = shape.type === "string" ? "" : `\n\n\`\`\`ts\n${typeText(shape)}\n\`\`\``;
  return [
    `## ${title}`,
    [summary, description].filter(Boolean).join(". ").replace(/\.?$/, "."),
    table(["input", "in", "type", "", "meaning"], input),
    `Answer, as ${code(mediaType)}${answer === "" ? "." : `:${answer}`}`,
  ].filter(Boolean);
}

interface Input {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly words: string | undefined;
  readonly schema: Schema;
}

function inputRow({ name, required, words = "", schema, ...rest }: Input): readonly string[] {
  const need =
    schema.default === undefined ? (required ? "required" : "") : `default ${code(JSON.stringify(schema.default))}`;
  return [code(name), rest.in, code(typeText(schema)), need, words];
}
