// A POST: an upload, a slice of one, a copy or a delete. Which of them may show only in the body, since an upload may be
// named `…/copy` as well; the signature is read before it, and what needs to be refused is refused before the file comes.
import { randomUUID } from "node:crypto";
import { HuiyuanError } from "../../errors.ts";
import { type Key, toKey } from "../../object.ts";
import type { Authentic } from "../../sign/token.ts";
import { type Form, isForm, readForm } from "../../upload/form.ts";
import { receiveFile } from "../../upload/receive.ts";
import { refuseExisting, storeUpload } from "../../upload/store.ts";
import { awaitsContinue } from "../continue.ts";
import type { ApiAnswer } from "./answer.ts";
import { answerUploaded, bucketOf, type Call, type PhotosParts } from "./call.ts";
import { readFileid } from "./fileid.ts";
import { operate } from "./operations.ts";
import type { ManagedBucket } from "./project.ts";
import { authenticate, authorizeUpload } from "./sign.ts";
import { splitOperation } from "./target.ts";

/** What a form has beside its file. Bytes. */
const FORM_EXTRA_BYTES = 1_048_576;
const SLICES = "upload_slice";

export async function post(call: Call, parts: PhotosParts): Promise<ApiAnswer> {
  const { headers } = call.request;
  const operation = splitOperation(call.target.rest);
  const hasForm = hasBody(call) && isForm(headers["content-type"]);
  if (operation !== undefined && !hasForm) return operate(call, operation, parts);
  call.about.name = "upload";
  const fileid = fileidOf(call);
  const token = authenticate(call.sign, parts.tokens);
  const early = operation === undefined ? await admitUpload(call, token, fileid, parts) : undefined;
  if (!hasForm) throw new HuiyuanError("form_broken", "Cannot upload: the body is no multipart form");
  refuseTooLong(call, parts);
  const form = openForm(call, parts);
  try {
    if (operation !== undefined && (await isOperation(form))) return await operate(call, operation, parts);
    const bucket = early ?? (await admitUpload(call, token, fileid, parts));
    return await upload(call, form, { bucket, fileid: fileid ?? toKey(randomUUID()) }, parts);
  } finally {
    form.stop();
  }
}

function hasBody({ request: { headers } }: Call): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Undefined: the server makes it. Throws rest_path_invalid. */
function fileidOf({ target: { rest }, bound }: Call): Key | undefined {
  return rest === "" ? undefined : readFileid(rest, bound);
}

/** The bucket that takes it. Throws the sign_* codes, bucket_unknown, operation_unsupported, upload_exists. */
async function admitUpload(
  call: Call,
  token: Authentic,
  fileid: Key | undefined,
  parts: PhotosParts,
): Promise<ManagedBucket> {
  call.about.fileid = fileid;
  authorizeUpload(token, { ...call, now: Math.floor(parts.now() / 1_000) }, fileid);
  const bucket = bucketOf(call);
  if (!bucket.takesUploads) {
    throw new HuiyuanError("operation_unsupported", `Cannot upload to "${bucket.name}": it is for downloads only`);
  }
  if (fileid !== undefined) await refuseExisting(bucket.stored, fileid);
  return bucket;
}

/** Before anything of it is read. */
function refuseTooLong({ request }: Call, { maxImageBytes }: PhotosParts): void {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxImageBytes() + FORM_EXTRA_BYTES) {
    throw new HuiyuanError("upload_size", `Cannot upload ${declared} bytes, the limit is ${maxImageBytes()}`);
  }
}

/** Tells a client that waits for it that it may send. */
function openForm({ request, response, about }: Call, { maxImageBytes, patience }: PhotosParts): Form {
  const form = readForm(request, {
    contentType: request.headers["content-type"] ?? "",
    maxBytes: maxImageBytes() + FORM_EXTRA_BYTES,
    ...patience,
  });
  if (awaitsContinue(request)) response.writeContinue();
  about.hasContinued = true;
  return form;
}

/** True: the form has neither a file nor the word that makes it an upload; what else is in it does not matter. */
async function isOperation(form: Form): Promise<boolean> {
  try {
    return (await form.file()) === undefined && form.fields.op !== SLICES;
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "form_broken") return true;
    throw error;
  }
}

interface Target {
  readonly bucket: ManagedBucket;
  readonly fileid: Key;
}

async function upload(call: Call, form: Form, { bucket, fileid }: Target, parts: PhotosParts): Promise<ApiAnswer> {
  if (!parts.uploads.take()) throw new HuiyuanError("overloaded", "Cannot take another upload: too many are under way");
  const spool = parts.spools.open(["sha1", "md5"]);
  try {
    const file = await form.file();
    const options = { spool, maxBytes: parts.maxImageBytes(), tooLarge: "upload_size" } as const;
    const received = file === undefined ? undefined : await receiveFile(file, options);
    const fields = await form.end();
    if (fields.op !== undefined && fields.op !== "") {
      throw new HuiyuanError("rest_route_unknown", `Cannot do "${fields.op.slice(0, 40)}": there is no such operation`);
    }
    if (received === undefined) throw new HuiyuanError("file_part_missing", "Cannot upload: the form has no file");
    const info = await storeUpload({ place: bucket.stored, fileid, received, fields, now: parts.now() });
    return await answerUploaded(call, bucket, { info, magicContext: fields.magiccontext ?? "" }, parts);
  } finally {
    spool.release();
    parts.uploads.free();
  }
}
