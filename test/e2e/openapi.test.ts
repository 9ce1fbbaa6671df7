// The documents of both APIs against the running program: they are well formed, and that of the admin API names every
// route and no other. Each call responds as documented, with documented fields only.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { describeRestApi } from "../../config/reference/rest-openapi.ts";
import { type ApiOptions, createApi } from "../../src/operate/api.ts";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  type CallOptions,
  callApi,
  fileForm,
  type MadeForm,
  makeForm,
  onceToken,
  uploadToken,
} from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf, oneBucket } from "../helpers/settings.ts";

/** Leaves are not objects; the reader of a leaf narrows its type. */
interface Json {
  readonly [name: string]: Json;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  readonly components: Json;
}

const { version: VERSION } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
/** The source of docs/reference/rest-api.md. */
const rest = describeRestApi(VERSION) as Document;

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;
let admin: Document;

beforeAll(async () => {
  jpeg = await noisyJpeg(300, 200);
  origin = await startScriptedOrigin(async ({ target }, connection) => {
    await connection.send(target.includes("missing") ? response("", { status: "404 Not Found" }) : response(jpeg));
  });
  const callback = {
    url: `http://127.0.0.1:${await freePort()}`,
    secret: "the secret of the callback",
    allowPrivate: true,
  };
  const bucket = { callback, aliases: { small: "imageView2/2/w/20" } };
  installation = await install(oneBucket(mirrorOf(origin.url), bucket, { server: { adminToken: "s3cret" } }));
  program = await installation.start();
  admin = JSON.parse((await ask("get", "/openapi.json")).text);
  for (const key of ["a.jpg", "b.jpg"]) {
    await get({ port: program.downloadPort, path: `/${key}` });
    await eventually(
      async () => (await ask("get", `/objects/stat?name=${key}`)).text.includes('"object"'),
      `${key} is stored`,
    );
  }
  await ask("post", "/objects/delete", { names: ["gone.jpg"], reason: "a test" });
  // The notice stays pending, because nobody listens there.
  await callApi({ port: program.downloadPort, path: "/told.jpg", form: fileForm(jpeg), sign: uploadToken("told.jpg") });
  await eventually(async () => (await ask("get", "/log")).text.includes("told.jpg"), "the upload is in the log");
});
afterAll(async () => {
  await program?.kill();
  await installation?.remove();
  await origin?.close();
});

async function ask(method: string, path: string, body?: unknown, token = "s3cret") {
  if (method === "put") return sendBytes(path, token);
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return {
    status: answer.status,
    mediaType: answer.headers.get("content-type")?.split(";", 1)[0] ?? "",
    text: await answer.text(),
  };
}

async function sendBytes(path: string, token: string) {
  const answer = await fetch(`http://127.0.0.1:${program.adminPort}/api/v1${path}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}` },
    body: jpeg,
  });
  return { status: answer.status, mediaType: "application/json", text: await answer.text() };
}

/** Follows `$ref` within the document. */
function resolve(document: Document, node: Json | undefined): Json {
  const reference: unknown = node?.$ref;
  if (typeof reference !== "string") return node ?? {};
  const found = reference
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((at, part) => (at as Json | undefined)?.[part], document);
  if (found === undefined) throw new Error(`${reference} leads nowhere`);
  return found as Json;
}

/** The schema of a response; undefined if the document has none. */
function schemaOf(
  document: Document,
  operation: Json | undefined,
  status: number,
  mediaType: string,
): Json | undefined {
  const answer = resolve(document, operation?.responses?.[status]);
  const range = mediaType.replace(/\/.*/, "/*");
  return (answer.content?.[mediaType] ?? answer.content?.[range])?.schema;
}

function expectToFit(schema: Json | undefined, value: unknown): void {
  if (schema === undefined) throw new Error("there is no schema for this answer");
  const read = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value);
  expect(read.error?.issues ?? []).toEqual([]);
  expect(unknownIn(schema, value)).toEqual([]);
}

/** Paths of fields that the schema does not name. */
function unknownIn(schema: Json, value: unknown, path = ""): readonly string[] {
  if (Array.isArray(schema.anyOf)) {
    const each = schema.anyOf.map((option: Json) => unknownIn(option, value, path));
    return each.toSorted((a, b) => a.length - b.length)[0] ?? [];
  }
  if (Array.isArray(value)) {
    return typeof schema.items === "object"
      ? value.flatMap((item) => unknownIn(schema.items as Json, item, `${path}[]`))
      : [];
  }
  if (typeof value !== "object" || value === null || String(schema.type) !== "object") return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const property = schema.properties?.[name];
    if (property !== undefined) return unknownIn(property, inner, `${path}.${name}`);
    const more = schema.additionalProperties as unknown;
    if (typeof more === "object" && more !== null) return unknownIn(more as Json, inner, `${path}.${name}`);
    return [`${path}.${name}`];
  });
}

describe.each([
  ["admin", () => admin],
  ["rest", () => rest],
])("the document of the %s API", (_name, documentOf) => {
  test("has the form of OpenAPI 3.1", () => {
    const document = documentOf();
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: expect.any(String), version: VERSION } });
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    expect(operations.length).toBeGreaterThan(3);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations) {
      expect([path, method]).toEqual([expect.stringMatching(/^\/[^?#]*$/), expect.stringMatching(/^(get|post|put)$/)]);
      expect([path, operation.summary]).toEqual([path, expect.stringMatching(/\S/)]);
      const parameters = (operation.parameters ?? []) as unknown as readonly Json[];
      const inPath = parameters.filter((parameter) => String(parameter.in) === "path").map(({ name }) => name);
      expect([path, inPath]).toEqual([path, [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])]);
      for (const parameter of parameters) z.fromJSONSchema(parameter.schema as never);
      for (const status of Object.keys(operation.responses ?? {})) {
        const answer = resolve(document, operation.responses?.[status]);
        expect([path, status, typeof answer.description]).toEqual([
          path,
          expect.stringMatching(/^[2-5]\d\d$/),
          "string",
        ]);
        for (const { schema } of Object.values(answer.content ?? {}) as Json[]) z.fromJSONSchema(schema as never);
      }
      for (const { schema } of Object.values(operation.requestBody?.content ?? {}) as Json[])
        z.fromJSONSchema(schema as never);
    }
  });
});

test("the document of the admin API names every route and no other", () => {
  const { routes } = createApi({
    operated: { service: { registry: {} } },
    server: {},
    nextRequestId: () => "",
  } as unknown as ApiOptions);
  const served = routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method.toLowerCase()} ${path}`);
  const documented = Object.entries(admin.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect([...new Set(served)].sort()).toEqual([...documented, "get /api/v1/openapi.json"].sort());
});

interface AdminCall {
  readonly method: "get" | "post" | "put";
  /** Below /api/v1. */
  readonly path: string;
  /** SHA256 stands for that of the image. */
  readonly query?: string;
  /** VERSION stands for that of the settings file. */
  readonly body?: object;
}

const SECOND_KEY = { path: ["projects", 0, "keys", 1], value: KEYS[1] };

const ADMIN_CALLS: readonly AdminCall[] = [
  { method: "get", path: "/buckets" },
  { method: "get", path: "/origins" },
  { method: "get", path: "/nodes" },
  { method: "get", path: "/objects", query: "?limit=1" },
  { method: "get", path: "/objects", query: "?bucket=photos&prefix=a&after=a" },
  { method: "get", path: "/objects/stat", query: "?name=a.jpg" },
  { method: "get", path: "/objects/stat", query: "?name=gone.jpg" },
  { method: "get", path: "/objects/stat", query: "?name=nowhere.jpg" },
  { method: "post", path: "/explain", body: { url: "http://any.example/a.jpg!small" } },
  {
    method: "post",
    path: "/explain",
    body: { url: "http://any.example/new.jpg?a=1", method: "HEAD", headers: { "X-A": "b" } },
  },
  { method: "post", path: "/explain", body: { url: "http://any.example/gone.jpg" } },
  { method: "post", path: "/explain", body: { url: "http://any.example/.." } },
  { method: "post", path: "/explain", body: { url: "http://any.example/photos/v2/1/2/3" } },
  { method: "post", path: "/warm", body: { names: ["w.jpg", "a.jpg", "missing.jpg", "..", "gone.jpg"], rate: 100 } },
  { method: "post", path: "/objects/purge", body: { names: ["b.jpg", "none.jpg"], hard: true } },
  {
    method: "post",
    path: "/objects/delete",
    body: { names: ["x.jpg", "..", "http://any.example/y.jpg"], forMs: 60_000 },
  },
  { method: "post", path: "/objects/undelete", body: { names: ["x.jpg"], bucket: "photos" } },
  { method: "post", path: "/objects/purge", body: { prefix: "zzz" } },
  { method: "put", path: "/objects/content", query: "?key=m.jpg&sha256=SHA256" },
  { method: "put", path: "/objects/content", query: "?key=m.jpg&sha256=SHA256&replace=newer&originUrl=http://h/" },
  { method: "put", path: "/objects/upload", query: "?key=o.jpg" },
  { method: "put", path: "/objects/upload", query: "?key=o.jpg&replace=true&magiccontext=mine" },
  { method: "get", path: "/objects/variants", query: "?key=o.jpg&limit=1" },
  { method: "get", path: "/objects/image", query: "?key=o.jpg&instruction=small" },
  { method: "post", path: "/sign", body: { key: "o.jpg", instruction: "imageView2/2/w/20" } },
  { method: "post", path: "/sign", body: { operation: "delete", key: "o.jpg" } },
  { method: "post", path: "/doctor", body: { url: "http://127.0.0.1:65001", allowPrivate: true, seconds: 5 } },
  { method: "post", path: "/callbacks/test", body: { bucket: "photos" } },
  { method: "get", path: "/migrations" },
  { method: "post", path: "/migrations", body: { id: "m", config: {}, fromOrigin: "any.example", list: "a.jpg" } },
  { method: "get", path: "/migrations" },
  { method: "get", path: "/migrations/stat", query: "?id=m" },
  { method: "get", path: "/migrations/failures", query: "?id=m&limit=1" },
  { method: "post", path: "/migrations/start", body: { id: "m", rescan: true } },
  { method: "post", path: "/migrations/stop", body: { id: "m", force: true } },
  { method: "post", path: "/migrations/verify", body: { id: "m", sample: "5%" } },
  { method: "post", path: "/migrations/stop", body: { id: "m", force: true } },
  { method: "post", path: "/migrations/remove", body: { id: "m" } },
  { method: "get", path: "/settings" },
  { method: "get", path: "/settings/schema" },
  { method: "post", path: "/settings/propose", body: { version: "VERSION", edits: [SECOND_KEY, { path: ["data"] }] } },
  { method: "post", path: "/settings/propose", body: { version: "VERSION", edits: [{ path: ["x"], value: 1 }] } },
  { method: "post", path: "/settings/apply", body: { version: "VERSION", edits: [SECOND_KEY] } },
  { method: "get", path: "/settings/keys" },
  { method: "post", path: "/settings/keys/rotate", body: { appid: APPID, secretId: KEYS[1].secretId } },
  { method: "post", path: "/settings/apply", body: { version: "VERSION", edits: [SECOND_KEY] } },
  { method: "post", path: "/settings/keys/remove", body: { appid: APPID, secretId: KEYS[1].secretId } },
  { method: "post", path: "/settings/keys/add", body: { appid: APPID } },
  { method: "get", path: "/callbacks" },
  { method: "get", path: "/callbacks", query: "?state=waiting&limit=1" },
  { method: "post", path: "/callbacks/retry", body: { all: true } },
  { method: "post", path: "/callbacks/drop", body: { ids: [1] } },
  { method: "get", path: "/log" },
  { method: "get", path: "/log", query: "?operation=upload&from=2015-07-17&latest=5" },
  { method: "get", path: "/log.csv", query: "?bucket=photos" },
  { method: "get", path: "/usage" },
  { method: "get", path: "/usage", query: "?from=2015-07-17&to=2015-07-18" },
  { method: "get", path: "/session" },
  { method: "post", path: "/session", body: { token: "s3cret" } },
  { method: "post", path: "/session/end", body: {} },
  { method: "get", path: "/overview" },
  { method: "get", path: "/live" },
];
/** A browser asks here whether it must log in. */
const isOpen = ({ method, path }: AdminCall) => path === "/session" && method === "get";

const sha256 = () => createHash("sha256").update(jpeg).digest("hex");

test("this file makes every documented call of the admin API", () => {
  // A place at an origin ends with its request: migrate-server.lab.test.ts.
  const made = new Set(["post /api/v1/origins/place"]);
  for (const { method, path } of ADMIN_CALLS) made.add(`${method} /api/v1${path}`);
  const documented = Object.entries(admin.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect([...made].sort()).toEqual(documented.sort());
});

test.each(ADMIN_CALLS)(
  "$method $path $query $body responds as documented",
  async ({ method, path, query = "", body: given }) => {
    const version = path.startsWith("/settings") ? JSON.parse((await ask("get", "/settings")).text).version : "";
    const body = given && JSON.parse(JSON.stringify(given).replace("VERSION", version));
    if (/^\/migrations\/(start|remove|verify)$/.test(path))
      await eventually(async () => (await ask("get", "/migrations")).text.includes('"isRunning":false'), "m has ended");
    const answer = await ask(method, path + query.replace("SHA256", sha256()), body);
    expect(answer.status).toBe(200);
    const operation = admin.paths[`/api/v1${path}`]?.[method];
    if (body !== undefined) expectToFit(operation?.requestBody?.content?.["application/json"]?.schema, body);
    const schema = schemaOf(admin, operation, 200, answer.mediaType);
    if (answer.mediaType === "application/json") return expectToFit(schema, JSON.parse(answer.text));
    if (answer.mediaType !== "application/x-ndjson") return expectToFit(schema, answer.text);
    const lines = answer.text.split("\n").filter(Boolean);
    expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ end: expect.any(Object) });
    for (const line of lines) expectToFit(schema, JSON.parse(line));
  },
);

test("settings that would have faults are refused as documented", async () => {
  const { version } = JSON.parse((await ask("get", "/settings")).text);
  const edits = [{ path: ["nonsense"], value: 1 }];
  for (const [given, status] of [
    [version, 400],
    ["0".repeat(64), 409],
  ] as const) {
    const { mediaType, text, ...answer } = await ask("post", "/settings/apply", { version: given, edits });
    expect(answer.status).toBe(status);
    expect("faults" in JSON.parse(text)).toBe(status === 400);
    expectToFit(schemaOf(admin, admin.paths["/api/v1/settings/apply"]?.post, status, mediaType), JSON.parse(text));
  }
});

test.each(ADMIN_CALLS)("$method $path $query $body is refused as documented", async (call) => {
  const { method, path, body } = call;
  const wrong =
    body === undefined ? await ask(method, `${path}?nonsense=1`) : await ask(method, path, { ...body, nonsense: 1 });
  // Many wrong tokens would be slowed.
  const unknown =
    path === "/session" ? await ask(method, path, body && { token: "wrong" }) : await ask(method, path, body, "");
  expect([wrong.status, unknown.status]).toEqual([400, isOpen(call) ? 200 : 401]);
  for (const { status, mediaType, text } of [wrong, unknown])
    expectToFit(schemaOf(admin, admin.paths[`/api/v1${path}`]?.[method], status, mediaType), JSON.parse(text));
});

test.each([
  { path: "/objects", query: "?limit=0", says: '"limit" must be a whole number from 1 to 1000' },
  { path: "/objects", query: "?limit=ten", says: '"limit" must be a whole number from 1 to 1000' },
  { path: "/objects/stat", query: "", says: '"name" is missing' },
  { path: "/objects/stat", query: "?name=a&name=b", says: '"name" is given twice' },
  { path: "/callbacks", query: "?state=lost", says: '"state" must be one of waiting, given-up' },
  {
    path: "/log",
    query: "?from=yesterday",
    says: '"from" must be a day such as 2015-07-17 or a time such as 2015-07-17T08:00:00Z',
  },
  { path: "/log", query: "?from=2015-13-40", says: '"from" must be a day' },
  { path: "/usage", query: "?from=2015-02-30", says: "must be a day" },
])("$path $query gets an error that names the fault", async ({ path, query, says }) => {
  const { status, text } = await ask("get", path + query);
  expect([status, JSON.parse(text).message]).toEqual([400, expect.stringContaining(says)]);
});

describe("the REST API", () => {
  const call = (options: Omit<CallOptions, "port">) => callApi({ ...options, port: program.downloadPort });
  const UNNAMED = "/photos/v2/{appid}/{bucket}/{userid}";
  const NAMED = `${UNNAMED}/{fileid}`;

  async function expectDescribed(path: string, method: string, options: Omit<CallOptions, "port">, status: number) {
    const { code, message, data, ...answer } = await call(options);
    expect([answer.status, code]).toEqual([status, expect.any(Number)]);
    const mediaType = String(answer.headers["content-type"]).split(";", 1)[0] ?? "";
    expectToFit(schemaOf(rest, rest.paths[path]?.[method], status, mediaType), { code, message, data });
    return { code, data };
  }

  test("every documented call responds as documented", async () => {
    const form = fileForm(jpeg);
    const upload = (fileid: string) => ({ path: pathOf(fileid), form, sign: uploadToken(fileid) });
    // The callback fails on purpose; the upload is stored all the same.
    await expectDescribed(NAMED, "post", upload("r.jpg"), 400);
    await expectDescribed(UNNAMED, "post", { form, sign: uploadToken() }, 400);
    const sha = createHash("sha1").update("not there yet").digest("hex");
    const fields = { op: "upload_slice", filesize: "99999", sha, slice_size: "65536" };
    const begin = makeForm(Object.entries(fields).map(([name, content]) => ({ name, content })));
    await expectDescribed(NAMED, "post", { path: "/s.jpg", form: begin, sign: uploadToken("s.jpg") }, 200);
    await expectDescribed(NAMED, "get", { path: "/r.jpg" }, 200);
    await expectDescribed(
      `${NAMED}/copy`,
      "post",
      { path: "/r.jpg/copy", method: "POST", sign: onceToken("r.jpg") },
      200,
    );
    await expectDescribed(
      `${NAMED}/del`,
      "post",
      { path: "/r.jpg/del", method: "POST", sign: onceToken("r.jpg") },
      200,
    );
  });

  test("uploads without a callback, whole and in slices, respond as documented", async () => {
    const plain = await install(oneBucket(undefined));
    const other = await plain.start();
    const send = async (fileid: string, form: MadeForm) => {
      const path = fileid === "" ? UNNAMED : NAMED;
      const sign = uploadToken(fileid);
      const { code, message, data } = await callApi({ port: other.downloadPort, path: pathOf(fileid), form, sign });
      expect(code).toBe(0);
      expectToFit(schemaOf(rest, rest.paths[path]?.post, 200, "application/json"), { code, message, data });
      return data;
    };
    const packet = (fileid: string, fields: Readonly<Record<string, string | Buffer>>) =>
      send(fileid, makeForm(Object.entries(fields).map(([name, content]) => ({ name, content }))));

    const half = Math.ceil(jpeg.byteLength / 2);
    const sha = createHash("sha1").update(jpeg).digest("hex");
    const order = { op: "upload_slice", filesize: String(jpeg.byteLength), sha, slice_size: String(half) };
    const { session, ...begun } = await packet("s.jpg", order);
    expect(begun).toEqual({ offset: 0, slice_size: half });
    const data = { op: "upload_slice", session: String(session) };
    const first = { ...data, offset: "0", FileContent: jpeg.subarray(0, half) };
    expect(await packet("s.jpg", first)).toEqual({ session, offset: 0 });
    const last = { ...data, offset: String(half), FileContent: jpeg.subarray(half) };
    expect(await packet("s.jpg", last)).toMatchObject({ fileid: "s.jpg" });
    // The bucket already has these bytes.
    expect(await packet("t.jpg", order)).toMatchObject({ fileid: "t.jpg" });
    expect(await send("r.jpg", fileForm(jpeg))).toMatchObject({ fileid: "r.jpg" });
    expect(await send("", fileForm(jpeg))).toHaveProperty("fileid");
    await other.kill();
    await plain.remove();
  });

  test.each([
    { what: "a missing object", path: "/nowhere-missing.jpg", code: -197 },
    { what: "no signature", path: "/n.jpg", hasForm: true, code: -81 },
    { what: "a name that is taken", path: "/told.jpg", hasForm: true, fileid: "told.jpg", code: -1886 },
    { what: "no such bucket", target: "/photos/v2/10001234/none/0/a.jpg", code: -1894 },
    { what: "no such project", target: "/photos/v2/999/photos/0/a.jpg", code: -82 },
    { what: "no path", target: "/photos/v2/", code: -5999 },
  ])("$what: $code is in the document", async ({ code, hasForm, fileid, ...options }) => {
    const form = hasForm ? fileForm(jpeg) : undefined;
    const sign = fileid === undefined ? undefined : uploadToken(fileid);
    const documented = await expectDescribed(NAMED, hasForm ? "post" : "get", { ...options, form, sign }, 400);
    expect(documented.code).toBe(code);
  });
});
