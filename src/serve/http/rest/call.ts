// The state of one REST API call, the parts that all calls share, and the answer to an upload. It authorizes nothing.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Semaphore } from "../../../async/semaphore.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import type { OnceLedger } from "../../sign/once.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import { joinCallback, type MakeOutboxDraft } from "../../upload/callback/callback.ts";
import type { KnownMd5 } from "../../upload/known-md5.ts";
import type { Slices } from "../../upload/slices/slices.ts";
import type { Stored, UploadedFile, VerifyDecodable } from "../../upload/upload-store.ts";
import type { ClientLimits } from "../request/client-limits.ts";
import { encodeKeyForPath } from "../request/target.ts";
import { type ApiPlace, apiBase, publicUrl } from "../response/public-url.ts";
import type { ManagedBucket, Project, Projects } from "./project.ts";
import { type ApiAnswer, type Links, success, uploadData } from "./rest-answer.ts";
import type { ApiTarget } from "./target.ts";

/** The parts that all calls share. */
export interface RestApiParts {
  /** The current snapshot. */
  readonly projects: () => Projects;
  /** Undefined: no client is limited. */
  readonly clients: () => ClientLimits | undefined;
  readonly tokens: VerifiedTokens;
  readonly once: OnceLedger;
  readonly spools: SpoolPool;
  readonly md5: KnownMd5;
  readonly slices: Slices;
  /** Limits concurrent uploads. */
  readonly uploads: Semaphore;
  /** The limit of an uploaded image, in bytes. */
  readonly maxImageBytes: () => number;
  /** The public addresses of the server, from the current settings. */
  readonly place: () => ApiPlace;
  /** A form is aborted if no byte arrives for `idleMs`, or if it has not ended after `totalMs`. */
  readonly patience: { readonly idleMs: number; readonly totalMs: number };
  readonly verify: VerifyDecodable;
  readonly makeOutboxDraft: MakeOutboxDraft;
  /** Called for every image that an upload or a copy has stored. Must not throw. */
  readonly stored?: ((bucket: ManagedBucket, key: Key) => void) | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The call's name in counters and logs. */
export type CallName = "upload" | "slice" | "stat" | "copy" | "delete" | "preflight" | "unknown";

/** The request and response of one call, from its arrival to its answer. */
export interface CallExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Milliseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Facts for counters and logs, filled in while the call runs. */
  readonly about: CallFacts;
  /** The CORS headers of the answer: names and values in turn. Empty until the bucket is known. */
  cors: readonly string[];
}

export interface Call extends Omit<CallExchange, "startedAt" | "cors"> {
  readonly parts: RestApiParts;
  /** Host and port as the client named them; may be empty. */
  readonly host: string;
  readonly target: ApiTarget;
  readonly project: Project;
  /** The bucket in the path; on V1 paths the project's first bucket. */
  readonly bucketName: string;
  /** Undefined: the project has no bucket of this name. */
  readonly known: ManagedBucket | undefined;
  readonly sign: string | undefined;
  /** The fileid that an authentic signature is bound to. It only shows the spelling; it authorizes nothing. */
  readonly bound: string | undefined;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
}

export interface CallFacts {
  name: CallName;
  bucketId: string | undefined;
  fileid: string | undefined;
  /** Size of the stored image; 0: none was stored. */
  bytes: number;
}

/** Throws bucket_unknown. */
export function bucketOf({ known, bucketName }: Call): ManagedBucket {
  if (known === undefined)
    throw new HuiyuanError("bucket_unknown", `Cannot use the bucket "${bucketName}": the project has no such bucket`);
  return known;
}

export function linksOf({ request, target, host, project, parts }: Call, bucket: ManagedBucket, fileid: Key): Links {
  const { publicDomain } = bucket;
  const place = parts.place();
  const base = apiBase(place, request, host, publicDomain);
  const path = target.version === 1 ? `v1/${project.appid}/${target.userid}` : `v2/${project.appid}/${bucket.name}/0`;
  const fileidInPath = encodeKeyForPath(fileid).replaceAll("/", "%2F");
  // The port is bound by now.
  return { url: `${base}/photos/${path}/${fileidInPath}`, download: publicUrl(place, publicDomain, fileid) ?? "" };
}

/** Enqueues the callback notice of an upload before the image is stored. */
export function announceUpload(
  call: Call,
  bucket: ManagedBucket,
  { fileid, sha1, size, magicContext }: UploadedFile,
): ReturnType<MakeOutboxDraft> {
  const { project, target, requestId } = call;
  return call.parts.makeOutboxDraft({
    ...{ appid: project.appid, bucket: bucket.name, fileid, magicContext, sha1, size, requestId },
    url: linksOf(call, bucket, fileid).download,
    userid: target.version === 1 ? target.userid : "0",
  });
}

/** Answers an upload after its image is durable. The callback runs first, and its answer is part of this one. */
export async function answerUploaded(
  call: Call,
  bucket: ManagedBucket,
  { info, outboxDraft }: Stored,
): Promise<ApiAnswer> {
  const { about, parts } = call;
  const { key, size } = info;
  about.fileid = key;
  about.bytes = size;
  parts.stored?.(bucket, key);
  const data = uploadData(info, linksOf(call, bucket, key));
  const outcome = await outboxDraft?.stored();
  if (outcome === undefined) return success(data);
  const joined = joinCallback(data, outcome);
  if (outcome.code === 0) return { code: 0, message: "SUCCESS", data: joined };
  return { code: outcome.code, message: "stored, but the callback failed", data: joined };
}
