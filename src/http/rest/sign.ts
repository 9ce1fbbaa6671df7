// The signature of an API call: where it is carried, and what it allows. One-time ones are spent here.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { OnceLedger } from "../../sign/once.ts";
import { type Authentic, authorize, type Scope, tokenFromQuery } from "../../sign/token.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import type { Project } from "./project.ts";
import type { ApiTarget, Operation } from "./target.ts";

/** What a signature is for. */
export interface Signed {
  readonly target: ApiTarget;
  readonly project: Project;
  /** As the path says, or the name of the project's first. */
  readonly bucketName: string;
  /** Unix seconds. */
  readonly now: number;
}

/** The header comes first: with the scheme QCloud in any case, or bare. Undefined where neither header nor query has one. */
export function signOf(authorization: string | undefined, rawQuery: string): string | undefined {
  const text = (authorization ?? "").trim().replace(/^qcloud(?:\s+|$)/i, "");
  return text === "" ? tokenFromQuery(rawQuery).sign : text;
}

/** Throws sign_missing, sign_malformed, sign_key_unknown, sign_mismatch. */
export function authenticate(sign: string | undefined, tokens: VerifiedTokens): Authentic {
  if (sign === undefined) throw new HuiyuanError("sign_missing", "Cannot do this without a signature");
  return tokens.authenticate(sign);
}

/** The file that a signature is bound to, if it is authentic: it tells how the client spells names. */
export function boundFileidOf(sign: string | undefined, tokens: VerifiedTokens): string | undefined {
  try {
    return sign === undefined ? undefined : tokens.authenticate(sign).fields.fileid;
  } catch {
    return undefined; // Those who need a good one refuse it.
  }
}

/** `fileid` undefined: it is made here. Throws what `authorize` does. */
export function authorizeUpload(token: Authentic, signed: Signed, fileid: Key | undefined): void {
  authorize(token, { ...scopeOf(signed), operation: "upload", fileid }, signed.now);
}

/** `spend` resolves once at most: throws sign_spent. This throws what `authorize` does. */
export function authorizeOnce(
  token: Authentic,
  signed: Signed,
  { operation, fileid, once }: { readonly operation: Operation; readonly fileid: Key; readonly once: OnceLedger },
): () => Promise<void> {
  const grant = authorize(token, { ...scopeOf(signed), operation, fileid }, signed.now);
  if (grant.kind !== "one-time") throw new HuiyuanError("sign_not_one_time", "Cannot accept the signature: multi-use");
  return async () => {
    if (await once.spend(grant.token, signed.now)) return;
    throw new HuiyuanError("sign_spent", "Cannot accept the signature: it was used before");
  };
}

/** A V2 path's userid counts as 0, whatever it is. */
function scopeOf({ target, project, bucketName }: Signed): Pick<Scope, "appid" | "bucket" | "userid" | "acceptV1"> {
  const { appid, acceptV1 } = project;
  return { appid, acceptV1, bucket: bucketName, userid: target.version === 1 ? target.userid : "0" };
}
