// One call of the REST API while it is answered, and what all calls share.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key } from "../../core/object.ts";
import type { FillLimit } from "../../mirror/fill/slots.ts";
import type { OnceLedger } from "../../sign/once.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import { joinCallback, type MakeOutboxDraft } from "../../upload/callback/callback.ts";
import type { KnownMd5 } from "../../upload/known-md5.ts";
import type { Slices } from "../../upload/slices/slices.ts";
import type { Stored, UploadedFile } from "../../upload/store.ts";
import type { VerifyDecodable } from "../../upload/verify-decodable.ts";
import { encodeKeyForPath } from "../request/target.ts";
import { apiBase, type PublicPlace, publicBase, publicUrl } from "../response/public-url.ts";
import { type ApiAnswer, type Links, success, uploadData } from "./answer.ts";
import type { ManagedBucket, Project, Projects } from "./project.ts";
import type { ApiTarget } from "./target.ts";

/** The same for every call. */
export interface RestApiParts {
  /** The snapshot in force. */
  readonly projects: () => Projects;
  readonly tokens: VerifiedTokens;
  readonly once: OnceLedger;
  readonly spools: SpoolPool;
  readonly md5: KnownMd5;
  readonly slices: Slices;
  /** Uploads at the same time. */
  readonly uploads: FillLimit;
  /** Bytes of an image that is uploaded. */
  readonly maxImageBytes: () => number;
  /** Where clients reach the server, as the settings in force say. */
  readonly place: () => PublicPlace;
  /** A form that brings nothing for `idleMs`, or has not ended within `totalMs`, is given up. */
  readonly patience: { readonly idleMs: number; readonly totalMs: number };
  readonly verify: VerifyDecodable;
  readonly announce: MakeOutboxDraft;
  /** Told of every image that an upload or a copy has stored. Must not throw. */
  readonly stored?: ((bucket: ManagedBucket, key: Key) => void) | undefined;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** What was called, for counters and logs. */
export type CallName = "upload" | "slice" | "stat" | "copy" | "delete" | "preflight" | "unknown";

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Host and port as the client named them; may be empty. */
  readonly host: string;
  readonly target: ApiTarget;
  readonly project: Project;
  /** As the path says, or the name of the project's first. */
  readonly bucketName: string;
  /** Undefined: the project has none of this name. */
  readonly known: ManagedBucket | undefined;
  readonly sign: string | undefined;
  /** The file that the signature is bound to, if it is authentic; whether it allows anything is asked elsewhere. */
  readonly bound: string | undefined;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  /** Notes for counters and logs. */
  readonly about: CallNotes;
}

export interface CallNotes {
  name: CallName;
  bucketId: string | undefined;
  fileid: string | undefined;
  /** Of the image that was stored. */
  bytes: number;
  /** The client has been told to send its body. */
  hasContinued: boolean;
}

/** Throws bucket_unknown. */
export function bucketOf({ known, bucketName }: Call): ManagedBucket {
  if (known === undefined)
    throw new HuiyuanError("bucket_unknown", `Cannot use the bucket "${bucketName}": there is none`);
  return known;
}

export function linksOf(call: Call, bucket: ManagedBucket, fileid: Key, parts: RestApiParts): Links {
  const { target, host, project } = call;
  const { publicDomain } = bucket;
  const place = parts.place();
  const base = host === "" ? publicBase(place, publicDomain) : apiBase(place, host);
  const path = target.version === 1 ? `v1/${project.appid}/${target.userid}` : `v2/${project.appid}/${bucket.name}/0`;
  const fileidInPath = encodeKeyForPath(fileid).replaceAll("/", "%2F");
  return { url: `${base}/photos/${path}/${fileidInPath}`, download: publicUrl(place, publicDomain, fileid) };
}

/** Owes the business server the notice of an upload, before it is stored. */
export function announceUpload(
  call: Call,
  bucket: ManagedBucket,
  { fileid, sha1, size, magicContext }: UploadedFile,
  parts: RestApiParts,
): ReturnType<MakeOutboxDraft> {
  const { project, target, requestId } = call;
  return parts.announce({
    appid: project.appid,
    bucket: bucket.name,
    fileid,
    magicContext,
    sha1,
    size,
    url: linksOf(call, bucket, fileid, parts).download,
    userid: target.version === 1 ? target.userid : "0",
    requestId,
  });
}

/** The answer to an upload whose image is durable: the business server is told first, and its answer goes along. */
export async function answerUploaded(
  call: Call,
  bucket: ManagedBucket,
  { info, outboxDraft }: Stored,
  parts: RestApiParts,
): Promise<ApiAnswer> {
  const { about } = call;
  const { key, size } = info;
  about.fileid = key;
  about.bytes = size;
  parts.stored?.(bucket, key);
  const data = uploadData(info, linksOf(call, bucket, key, parts));
  const outcome = await outboxDraft?.stored();
  if (outcome === undefined) return success(data);
  const joined = joinCallback(data, outcome);
  if (outcome.code === 0) return { code: 0, message: "SUCCESS", data: joined };
  return { code: outcome.code, message: "stored, but the callback failed", data: joined };
}
