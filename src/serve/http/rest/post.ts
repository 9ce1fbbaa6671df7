// Serves a POST: an upload, a slice, a copy or a delete. A fileid may end in `/copy` too, so sometimes only the form in
// the body shows which one it is. The signature is checked before the body is read, and most refusals precede the file.
import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import type { Spool } from "../../body/spool/spool.ts";
import type { Authentic } from "../../sign/token.ts";
import { type Form, isForm, readForm } from "../../upload/form.ts";
import { MAX_SLICE_BYTES, takePacket } from "../../upload/slices/slice-packet.ts";
import {
  type MakeFileDraft,
  type Received,
  receiveFile,
  refuseExisting,
  storeUpload,
} from "../../upload/upload-store.ts";
import { awaitsContinue } from "../request/exchange.ts";
import { announceUpload, answerUploaded, bucketOf, type Call } from "./call.ts";
import { readFileid } from "./fileid.ts";
import { operate } from "./operations.ts";
import type { ManagedBucket } from "./project.ts";
import { type ApiAnswer, success } from "./rest-answer.ts";
import { authenticate, authorizeUpload } from "./sign.ts";
import { splitOperation } from "./target.ts";

/** Limit of a form beside its file, in bytes. */
const FORM_EXTRA_BYTES = 1_048_576;
const SLICES = "upload_slice";

export async function post(call: Call): Promise<ApiAnswer> {
  const { headers } = call.request;
  const operation = splitOperation(call.target.rest);
  const hasForm = hasBody(call) && isForm(headers["content-type"]);
  if (operation !== undefined && !hasForm) return operate(call, operation);
  call.about.name = "upload";
  const fileid = fileidOf(call);
  call.about.fileid = fileid;
  const token = authenticate(call.sign, call.parts.tokens);
  const earlyBucket = operation === undefined ? admitUpload(call, token, fileid) : undefined;
  if (!hasForm) throw new HuiyuanError("form_broken", "Cannot upload: the body is not a multipart form");
  refuseTooLong(call);
  const form = openForm(call);
  try {
    if (operation !== undefined && (await isOperation(form))) return await operate(call, operation);
    const bucket = earlyBucket ?? admitUpload(call, token, fileid);
    return await upload(call, form, { bucket, fileid });
  } finally {
    form.stop();
  }
}

function hasBody({ request: { headers } }: Call): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Undefined: the server generates the fileid. Throws rest_path_invalid. */
function fileidOf({ target: { rest }, bound }: Call): Key | undefined {
  return rest === "" ? undefined : readFileid(rest, bound);
}

/** The bucket that takes the upload. Throws the sign_* codes, bucket_unknown, operation_unsupported. */
function admitUpload(call: Call, token: Authentic, fileid: Key | undefined): ManagedBucket {
  call.about.fileid = fileid;
  authorizeUpload(token, { ...call, now: Math.floor(call.parts.now() / 1_000) }, fileid);
  const bucket = bucketOf(call);
  if (!bucket.takesUploads) {
    throw new HuiyuanError(
      "operation_unsupported",
      `Cannot upload to "${bucket.name}": the bucket is for downloads only`,
    );
  }
  return bucket;
}

/** Throws upload_size for a declared length over the limit, before the body is read. */
function refuseTooLong({ request, parts: { maxImageBytes } }: Call): void {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxImageBytes() + FORM_EXTRA_BYTES) {
    throw new HuiyuanError("upload_size", `Cannot upload ${declared} bytes, the limit is ${maxImageBytes()}`);
  }
}

/** Starts to read the form, and sends "100 Continue" to a client that waits for it. */
function openForm({ request, response, parts }: Call): Form {
  const form = readForm(request, {
    contentType: request.headers["content-type"] ?? "",
    maxBytes: parts.maxImageBytes() + FORM_EXTRA_BYTES,
    ...parts.patience,
  });
  if (awaitsContinue(request)) response.writeContinue();
  return form;
}

/** True: the form has no file and no `op=upload_slice`, so the path names a copy or a delete. */
async function isOperation(form: Form): Promise<boolean> {
  try {
    return (await form.file()) === undefined && form.fields.op !== SLICES;
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "form_broken") return true;
    throw error;
  }
}

interface UploadTarget {
  readonly bucket: ManagedBucket;
  /** Undefined: the server generates the fileid. */
  readonly fileid: Key | undefined;
}

async function upload(call: Call, form: Form, { bucket, fileid }: UploadTarget): Promise<ApiAnswer> {
  const { parts } = call;
  const release = parts.uploads.tryAcquire();
  if (release === undefined) throw new HuiyuanError("overloaded", "Cannot take another upload: too many are running");
  const spool = parts.spools.open({ digests: ["sha1", "md5"], failsWithDisk: true });
  try {
    const file = await form.file();
    const received = file === undefined ? undefined : await receive(file, form, { bucket, fileid, spool }, call);
    const fields = await form.end();
    const { verify } = parts;
    const makeOutboxDraft: MakeFileDraft = (each) => announceUpload(call, bucket, each);
    const common = { target: bucket.stored, fields, verify, makeOutboxDraft, now: parts.now() };
    if (fields.op === SLICES) {
      call.about.name = "slice";
      const data = received && { size: received.body.size, spool };
      const { appid } = call.project;
      const packet = { ...common, appid, bucketId: bucket.stored.bucketId, requested: fileid, slice: data };
      const answer = await takePacket(packet, {
        ...common,
        slices: parts.slices,
        maxImageBytes: parts.maxImageBytes(),
      });
      if (answer.kind === "stored") return await answerUploaded(call, bucket, answer);
      const { session, offset } = answer;
      return success(answer.kind === "begun" ? { session, offset, slice_size: answer.sliceSize } : { session, offset });
    }
    if (fields.op !== undefined && fields.op !== "") {
      throw new HuiyuanError("rest_route_unknown", `Cannot do "${fields.op.slice(0, 40)}": the operation is unknown`);
    }
    if (received === undefined) throw new HuiyuanError("file_part_missing", "Cannot upload: the form has no file");
    const name = { fileid: fileid ?? toKey(randomUUID()), magicContext: fields.magiccontext ?? "" };
    return await answerUploaded(call, bucket, await storeUpload({ ...common, ...name, received }));
  } finally {
    spool.release();
    release();
  }
}

/** Receives the file part. A slice is not checked for an existing image: it may be a repeated one. */
async function receive(
  file: Readable,
  form: Form,
  { bucket, fileid, spool }: UploadTarget & { readonly spool: Spool },
  { parts: { maxImageBytes } }: Call,
): Promise<Received> {
  if (form.fields.op === SLICES) {
    return receiveFile(file, { spool, maxBytes: MAX_SLICE_BYTES, tooLarge: "slice_too_large" });
  }
  if (fileid !== undefined) await refuseExisting(bucket.stored, fileid);
  return receiveFile(file, { spool, maxBytes: maxImageBytes(), tooLarge: "upload_size" });
}
