// Describes the REST API for uploads (serve/http/rest/) in the form of OpenAPI 3.1, for docs/reference/rest-api.md. No
// schema parses its forms and paths, which follow clients of 2015. So a test checks real answers against these schemas,
// and the codes come from the error table. Pure.
import * as z from "zod";
import { CALLBACK_FAILED, ERROR_CODES, errorRow, restError } from "../../src/core/errors.ts";
import { bareSchemaOf as bare, jsonContent as json } from "../../src/operate/admin/input.ts";

const size = z.object({ width: z.number(), height: z.number() });
const callback = z.unknown().optional().describe("Answer of your server, if the bucket has a callback.");

const uploaded = z.object({
  url: z.string().describe("API URL of the file, for stat, copy and delete."),
  download_url: z.string(),
  fileid: z.string(),
  info: z.array(z.object({ 0: size })),
  callback,
});

const begun = z.object({
  session: z.string(),
  offset: z.number().describe("Offset of the next slice to send."),
  slice_size: z.number().describe("Bytes of each slice except the last."),
});

const taken = z.object({ session: z.string(), offset: z.number().describe("Offset of the received slice.") });

const copied = z.object({ url: z.string(), download_url: z.string(), fileid: z.string() });

const described = z.object({
  file_url: z.string(),
  file_fileid: z.string(),
  file_upload_time: z.string().describe("Unix seconds."),
  file_size: z.string().describe("Bytes."),
  file_md5: z.string(),
  photo_width: z.string(),
  photo_height: z.string(),
});

const uploadForm = z.object({
  FileContent: z
    .string()
    .optional()
    .meta({ contentMediaType: "application/octet-stream" })
    .describe("The image, or one slice of it."),
  MagicContext: z.string().optional().describe("At most 16 KB, sent to your server with the callback."),
  Md5: z.string().optional().describe("Hex; the upload is refused if the file has a different one."),
  sha: z.string().optional().describe("SHA-1, hex, likewise; of the whole file if it is sent in slices."),
  op: z.enum(["", "upload_slice"]).optional().describe("`upload_slice` for an upload in slices."),
  filesize: z.string().optional().describe("Size of the whole file, to start an upload in slices."),
  slice_size: z.string().optional().describe("Wanted bytes of each slice; the answer has the agreed number."),
  session: z.string().optional().describe("The `session` of the first answer, with each slice."),
  offset: z.string().optional().describe("Where the slice begins in the file, in bytes."),
});

const BUCKET = "/photos/v2/{appid}/{bucket}/{userid}";
const IMAGE = `${BUCKET}/{fileid}`;

export function describeRestApi(version: string): object {
  const paths = {
    [BUCKET]: { post: upload("uploadUnnamed", "Upload an image; the server generates its fileid", false) },
    [IMAGE]: {
      get: {
        operationId: "stat",
        summary: "Show the properties of an image",
        security: [],
        parameters: named(true),
        responses: answers(described),
      },
      post: upload("upload", "Upload an image, at once or in slices", true),
    },
    [`${IMAGE}/copy`]: { post: once("copy", "Copy to a new fileid, which the server generates", copied) },
    [`${IMAGE}/del`]: { post: once("delete", "Delete; the image is not fetched from an origin again", z.object({})) },
  };
  return {
    openapi: "3.1.0",
    info: {
      title: "Huiyuan REST API (万象优图 V2)",
      version,
      description:
        "On the download port, for every host name that serves no downloads. /photos/v1/{appid}/{userid} means the project's first bucket.",
    },
    servers: [{ url: "http://127.0.0.1:8080" }],
    security: [{ header: [] }, { query: [] }],
    paths,
    components: {
      securitySchemes: {
        header: {
          ...{ type: "apiKey", in: "header", name: "Authorization" },
          description: "`QCloud <signature>`; the scheme may be left out.",
        },
        query: { type: "apiKey", in: "query", name: "sign", description: "The signature, URL-encoded." },
      },
      responses: { Failure: { description: codeTable(), content: json(failed()) } },
    },
  };
}

function upload(operationId: string, summary: string, hasFileid: boolean): object {
  const content = { "multipart/form-data": { schema: bare(uploadForm) } };
  return {
    operationId,
    summary,
    requestBody: { required: true, content },
    parameters: named(hasFileid),
    responses: answers(z.union([uploaded, begun, taken])),
  };
}

function once(operationId: string, summary: string, data: z.ZodType): object {
  return {
    operationId,
    summary,
    description: "The signature is one-time and bound to the fileid.",
    parameters: named(true),
    responses: answers(data),
  };
}

function named(hasFileid: boolean): readonly object[] {
  const parts = [
    { name: "appid", description: "The project's id." },
    { name: "bucket", description: "Its name alone." },
    { name: "userid", description: "`0`." },
    ...(hasFileid
      ? [{ name: "fileid", description: "1 to 128 bytes of UTF-8, percent-encoded, a slash as %2F." }]
      : []),
  ];
  return parts.map((part) => ({ ...part, in: "path", required: true, schema: { type: "string" } }));
}

function answers(data: z.ZodType): object {
  const success = z.object({ code: z.literal(0), message: z.string(), data });
  return {
    200: { description: "Done.", content: json(success) },
    400: { $ref: "#/components/responses/Failure" },
  };
}

/** Every failure code and its message. */
function failureCodes(): ReadonlyMap<number, string> {
  const rows = ERROR_CODES.filter((code) => errorRow(code).rest !== undefined).map((code) => restError(code));
  const all = [...rows, { code: CALLBACK_FAILED, message: "stored, but your server did not take the callback" }];
  return new Map(all.toSorted((a, b) => a.code - b.code).map(({ code, message }) => [code, message]));
}

function failed(): z.ZodType {
  return z.object({
    code: z.literal([...failureCodes().keys()]),
    message: z.string(),
    data: z.record(z.string(), z.unknown()),
  });
}

function codeTable(): string {
  const rows = [...failureCodes()].map(([code, message]) => `| ${code} | ${message} |`);
  return ["Refused or failed.", "", "| code | message |", "| --- | --- |", ...rows].join("\n");
}
