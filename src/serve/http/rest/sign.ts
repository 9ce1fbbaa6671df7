// Reads the signature of an API call, checks what it allows, and spends one-time signatures. sign/ defines tokens.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { OnceLedger } from "../../sign/once.ts";
import { type Authentic, authorize, type Scope, tokenFromQuery } from "../../sign/token.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import type { Project } from "./project.ts";
import type { ApiTarget, Operation } from "./target.ts";

/** The call that a signature is checked against. */
export interface Signed {
  readonly target: ApiTarget;
  readonly project: Project;
  /** The bucket in the path; on V1 paths the project's first bucket. */
  readonly bucketName: string;
  /** Unix seconds. */
  readonly now: number;
}

/** The signature from the header (bare, or with the scheme QCloud in any case), else the query; undefined: none. */
export function signOf(authorization: string | undefined, rawQuery: string): string | undefined {
  const text = (authorization ?? "").trim().replace(/^qcloud(?:\s+|$)/i, "");
  return text === "" ? tokenFromQuery(rawQuery).sign : text;
}

/** Throws sign_missing, sign_malformed, sign_key_unknown, sign_mismatch. */
export function authenticate(sign: string | undefined, tokens: VerifiedTokens): Authentic {
  if (sign === undefined) throw new HuiyuanError("sign_missing", "Cannot serve the call: it has no signature");
  return tokens.authenticate(sign);
}

/** `fileid` undefined: the server generates it. Throws the codes of `authorize`. */
export function authorizeUpload(token: Authentic, signed: Signed, fileid: Key | undefined): void {
  authorize(token, { ...scopeOf(signed), operation: "upload", fileid }, signed.now);
}

/** Returns a function that spends the signature, or throws sign_spent. Throws the codes of `authorize`. */
export function authorizeOnce(
  token: Authentic,
  signed: Signed,
  { operation, fileid, once }: { readonly operation: Operation; readonly fileid: Key; readonly once: OnceLedger },
): () => Promise<void> {
  const grant = authorize(token, { ...scopeOf(signed), operation, fileid }, signed.now);
  if (grant.kind !== "one-time")
    throw new HuiyuanError("sign_not_one_time", "Cannot accept the signature: it is multi-use, wanted one-time");
  return async () => {
    if (await once.spend(grant.token, signed.now)) return;
    throw new HuiyuanError("sign_spent", "Cannot accept the signature: it was used before");
  };
}

/** On V2 paths every userid counts as 0. */
function scopeOf({ target, project, bucketName }: Signed): Pick<Scope, "appid" | "bucket" | "userid" | "acceptV1"> {
  const { appid, acceptV1 } = project;
  return { appid, acceptV1, bucket: bucketName, userid: target.version === 1 ? target.userid : "0" };
}
