// Tokens (签名, V2-enhanced): builds, parses and verifies them. Pure: clock, random numbers and keys are arguments. It
// has no state: verified.ts caches verified tokens, once.ts records spent ones. It imports only errors.ts, because the
// client SDK includes this file unchanged.
import { createHmac, timingSafeEqual } from "node:crypto";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";

/** The longest life of a token, seconds: "3 months" is read as the longest three calendar months, 92 days. */
export const MAX_LIFE_SECONDS = 7_948_800;

const MAX_TOKEN_CHARS = 4096;
const MAC_BYTES = 20;

/** The fields of a token. The letters are their names in the token's text. */
export interface TokenFields {
  /** `a`, decimal digits. */ readonly appid: string;
  /** `b`; undefined in the V1 shape, which names no bucket. */ readonly bucket: string | undefined;
  /** `k`. */ readonly secretId: string;
  /** `e`, Unix seconds; 0 means one use only. */ readonly expires: number;
  /** `t`, Unix seconds. */ readonly issuedAt: number;
  /** `r`, at most 10 digits; makes tokens of the same second differ. */ readonly random: number;
  /** `u`; empty and `0` mean the same. */ readonly userid: string;
  /** `f`, raw, never URL-encoded; empty: any file of the bucket. */ readonly fileid: string;
}

/** A parsed token, not yet verified. */
export interface ParsedToken {
  readonly fields: TokenFields;
  /** 20 bytes. */ readonly mac: Uint8Array;
  /** The bytes that were signed, as received. */ readonly plaintext: Uint8Array;
}

/** One key pair of a project. */
export interface SigningKey {
  readonly secretKey: string;
  readonly enabled: boolean;
}

/** The key pair `secretId` of project `appid`. A key of another project must not be returned. */
export type KeyLookup = (secretId: string, appid: string) => SigningKey | undefined;

/** A token whose MAC is right. `authorize` checks on every use that it fits the request and has not expired. */
export interface Authentic {
  readonly fields: TokenFields;
  /** 20 bytes, a copy that keeps nothing else alive. */ readonly mac: Uint8Array;
  readonly key: SigningKey;
}

/** The effect of a one-time token on downloads: valid for any number of them, for one, or refused. */
export type OneTimeDownloads = "reuse" | "once" | "refuse";

/** The request to authorize, and the rules of its project and bucket. */
export type Scope = {
  readonly appid: string;
  readonly bucket: string;
  /** The required `u`: `0` on downloads and V2 paths, the path's own on V1 paths. Empty means `0`. */
  readonly userid: string;
  /** Whether a token without a bucket (V1 shape) is accepted. */
  readonly acceptV1: boolean;
} & (
  | { readonly operation: "download"; readonly fileid: string; readonly oneTimeDownloads: OneTimeDownloads }
  /** `fileid` undefined: the server chooses the name, which no bound token can match. */
  | { readonly operation: "upload"; readonly fileid: string | undefined }
  /** `fileid`: the source of a copy; its destination is a new name. */
  | { readonly operation: "copy" | "delete"; readonly fileid: string }
);

/** The identity of a one-time token in the ledger. Spelling and padding of its text do not matter. */
export interface OneTimeToken {
  readonly secretId: string;
  /** 20 bytes. */ readonly mac: Uint8Array;
  /** Unix seconds. */ readonly issuedAt: number;
}

/**
 * The permission that a verified token gives.
 * - `multi-use`: valid until `expires` (Unix seconds).
 * - `one-time` with `spend: "once"`: valid only after the ledger (once.ts) has spent `token`.
 * - `one-time` with `spend: "reuse"`: valid as it is, but no cache may store the response.
 */
export type Grant =
  | { readonly kind: "multi-use"; readonly expires: number }
  | { readonly kind: "one-time"; readonly spend: "reuse" | "once"; readonly token: OneTimeToken };

/**
 * Builds the token for `fields`, not URL-encoded. Throws sign_malformed for fields that would not parse back to the
 * same values.
 */
export function makeToken(fields: TokenFields, secretKey: string): string {
  const { appid, bucket, secretId, expires, issuedAt, random, userid, fileid } = fields;
  const place = bucket === undefined ? `a=${appid}` : `a=${appid}&b=${bucket}`;
  const head = `${place}&k=${secretId}&e=${expires}&t=${issuedAt}&r=${random}&u=${userid}`;
  const plaintext = Buffer.from(`${head}&f=${fileid}`);
  const mac = createHmac("sha1", secretKey).update(plaintext).digest();
  const token = Buffer.concat([mac, plaintext]).toString("base64");
  // Parsing it again detects `&` in a value, fractions, signs, lone surrogates and excess length in one place.
  const read = parseToken(token).fields;
  for (const name of Object.keys(read) as (keyof TokenFields)[]) {
    if (read[name] !== fields[name]) throw malformed(`${name} ${JSON.stringify(fields[name])} cannot be carried in it`);
  }
  return token;
}

/**
 * Parses a token's text: standard Base64 of 20 MAC bytes and at least one more. Missing `=` is accepted, no other
 * spelling is. At most 4,096 characters. Throws sign_malformed.
 */
export function parseToken(text: string): ParsedToken {
  if (text.length > MAX_TOKEN_CHARS) throw malformed(`it has ${text.length} characters, at most ${MAX_TOKEN_CHARS}`);
  const bytes = Buffer.from(text, "base64");
  // The decoder skips unknown characters and accepts the URL-safe alphabet; encoding again detects both.
  const canonical = bytes.toString("base64");
  if (!canonical.startsWith(text) || canonical.slice(text.length).replaceAll("=", "") !== "") {
    throw malformed("it is not standard Base64");
  }
  if (bytes.length <= MAC_BYTES) throw malformed(`it has ${bytes.length} bytes, more than ${MAC_BYTES} are needed`);
  const plaintext = bytes.subarray(MAC_BYTES);
  return { fields: readFields(decodeUtf8(plaintext)), mac: bytes.subarray(0, MAC_BYTES), plaintext };
}

function readFields(plaintext: string): TokenFields {
  // Other values never contain `&`, so the first `&f=` begins the fileid. All that follows belongs to it, even another
  // `&f=`.
  const end = plaintext.indexOf("&f=");
  if (end < 0) throw malformed("it has no f");
  const values = new Map<string, string>();
  for (const part of plaintext.slice(0, end).split("&")) {
    const [name = "", ...value] = part.split("=");
    // An unknown field might be a restriction, so it must not be ignored.
    if (!/^[abkertu]$/.test(name) || values.has(name)) throw malformed("it has an unknown or repeated field");
    values.set(name, value.join("="));
  }
  return {
    appid: required(values, "a"),
    bucket: values.get("b"),
    secretId: required(values, "k"),
    expires: integer(values, "e", 15),
    issuedAt: integer(values, "t", 15),
    random: integer(values, "r", 10),
    userid: required(values, "u"),
    fileid: plaintext.slice(end + "&f=".length),
  };
}

function required(values: ReadonlyMap<string, string>, name: string): string {
  const value = values.get(name);
  if (value === undefined) throw malformed(`it has no ${name}`);
  return value;
}

function integer(values: ReadonlyMap<string, string>, name: string, maxDigits: number): number {
  const text = required(values, name);
  if (!/^[0-9]+$/.test(text) || text.length > maxDigits) throw malformed(`its ${name} is not a decimal number`);
  return Number(text);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw malformed("it is not UTF-8", error);
  }
}

/**
 * Takes `sign` out of a raw query (without its `?`). Never throws, because a bucket without Token anti-leech ignores
 * tokens.
 * - `sign`: ready for `parseToken`, with its `+` repaired. Undefined if it is missing or empty. Several equal ones
 *   count as one. An invalid escape, or several different ones, give a text that parseToken refuses (sign_malformed).
 * - `rest`: the other parameters, byte for byte, joined by `&`.
 */
export function tokenFromQuery(rawQuery: string): { readonly sign: string | undefined; readonly rest: string } {
  if (!rawQuery.includes("sign=")) return { sign: undefined, rest: rawQuery };
  let sign: string | undefined;
  const rest: string[] = [];
  for (const part of rawQuery.split("&")) {
    if (!part.startsWith("sign=")) {
      rest.push(part);
      continue;
    }
    const text = unescapeSign(part.slice("sign=".length));
    sign = sign === undefined || sign === text ? text : "&"; // "&" is not Base64, so parseToken refuses it
  }
  return { sign: sign === "" ? undefined : sign, rest: rest.join("&") };
}

function unescapeSign(raw: string): string {
  if (!raw.includes("%")) return raw.replaceAll(" ", "+");
  try {
    // Base64 has no spaces. A form encoder or decoder in between has turned each `+` into one.
    return decodeURIComponent(raw).replaceAll(" ", "+");
  } catch {
    return raw; // parseToken refuses its `%`
  }
}

/**
 * The expensive part of verifying, equal for every request: parses the text, finds the key and compares the MAC. The
 * comparison takes constant time, for unknown keys too. Throws sign_malformed, sign_key_unknown (unknown or disabled),
 * sign_mismatch.
 */
export function authenticateToken(text: string, keys: KeyLookup): Authentic {
  const { fields, mac, plaintext } = parseToken(text);
  const key = keys(fields.secretId, fields.appid);
  const expected = createHmac("sha1", key?.secretKey ?? "no such key, but the same work for it")
    .update(plaintext)
    .digest();
  const isRight = timingSafeEqual(mac, expected);
  if (key === undefined || !key.enabled) throw refused("sign_key_unknown", "no enabled key has its SecretID");
  if (!isRight) throw refused("sign_mismatch", "its MAC is wrong");
  return { fields, mac: Uint8Array.from(mac), key };
}

/**
 * The cheap part of verifying, required on every use: the grant of an authentic token in this scope at `now` (Unix
 * seconds). Throws, in the order of the checks:
 * - sign_scope, sign_v1_refused (appid, bucket, userid);
 * - one-time tokens: sign_one_time_refused, sign_one_time_unbound, sign_scope (fileid), sign_spent (issued over 92 days
 *   ago);
 * - other tokens: sign_not_one_time (copy and delete), sign_expired, sign_scope (fileid), sign_lifetime.
 */
export function authorize(token: Authentic, scope: Scope, now: number): Grant {
  const { fields } = token;
  requirePlace(fields, scope);
  if (fields.expires !== 0) return authorizeMultiUse(fields, scope, now);
  const spend = oneTimeRule(scope);
  if (spend === "refuse") throw refused("sign_one_time_refused", `it is one-time, ${scope.operation} takes multi-use`);
  if (fields.fileid === "") throw refused("sign_one_time_unbound", "it is one-time and names no file");
  requireFile(fields, scope);
  // The ledger forgets tokens of that age, so they count as spent.
  if (fields.issuedAt < now - MAX_LIFE_SECONDS) throw refused("sign_spent", `it was issued at ${fields.issuedAt}`);
  return {
    kind: "one-time",
    spend,
    token: { secretId: fields.secretId, mac: token.mac, issuedAt: fields.issuedAt },
  };
}

function authorizeMultiUse(fields: TokenFields, scope: Scope, now: number): Grant {
  const { expires, issuedAt } = fields;
  if (scope.operation === "copy" || scope.operation === "delete") {
    throw refused("sign_not_one_time", `it is multi-use, ${scope.operation} takes one-time`);
  }
  if (expires <= now) throw refused("sign_expired", `it expired at ${expires}, now is ${now}`);
  if (fields.fileid !== "") requireFile(fields, scope);
  // From now on if `t` lies in the future. Otherwise a later `t` would allow a longer life.
  if (expires <= issuedAt || expires - Math.min(issuedAt, now) > MAX_LIFE_SECONDS) {
    throw refused(
      "sign_lifetime",
      `it lives from ${issuedAt} to ${expires}, at most ${MAX_LIFE_SECONDS} s are allowed`,
    );
  }
  return { kind: "multi-use", expires };
}

function oneTimeRule(scope: Scope): OneTimeDownloads {
  if (scope.operation === "download") return scope.oneTimeDownloads;
  return scope.operation === "upload" ? "refuse" : "once";
}

function requirePlace(fields: TokenFields, scope: Scope): void {
  if (fields.appid !== scope.appid) throw refused("sign_scope", "it is for another appid");
  if ((fields.userid || "0") !== (scope.userid || "0")) throw refused("sign_scope", "it is for another userid");
  if (fields.bucket === scope.bucket) return;
  if (fields.bucket !== undefined) throw refused("sign_scope", "it is for another bucket");
  if (!scope.acceptV1) throw refused("sign_v1_refused", "it has the V1 shape, which this project does not accept");
}

function requireFile(fields: TokenFields, scope: Scope): void {
  if (fields.fileid !== scope.fileid) throw refused("sign_scope", "it is for another file");
}

function malformed(found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError(
    "sign_malformed",
    `Cannot read the signature: ${found}`,
    cause === undefined ? {} : { cause },
  );
}

function refused(code: ErrorCode, found: string): HuiyuanError {
  return new HuiyuanError(code, `Cannot accept the signature: ${found}`);
}
