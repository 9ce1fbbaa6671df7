// A project with two enabled key pairs and a disabled one, and tokens for it.
import { createHmac } from "node:crypto";
import { HuiyuanError } from "../../src/core/errors.ts";
import {
  authenticateToken,
  authorize,
  type Grant,
  type KeyLookup,
  makeToken,
  type Scope,
  type SigningKey,
  type TokenFields,
} from "../../src/serve/sign/token.ts";

/** The tests' current time, Unix seconds. */
export const NOW = 1_450_000_000;

export const SECRET_KEYS = { AKIDONE: "secret-one", AKIDTWO: "secret-two", AKIDOFF: "secret-off" } as const;

const PAIRS: ReadonlyMap<string, SigningKey> = new Map(
  Object.entries(SECRET_KEYS).map(([id, secretKey]) => [id, { secretKey, enabled: id !== "AKIDOFF" }]),
);

export const KEYS: KeyLookup = (secretId, appid) => (appid === "10001234" ? PAIRS.get(secretId) : undefined);

/** Bound to `a/b.jpg`; valid for an hour from NOW. */
export const FIELDS: TokenFields = {
  appid: "10001234",
  bucket: "photos",
  secretId: "AKIDONE",
  expires: NOW + 3600,
  issuedAt: NOW,
  random: 7,
  userid: "0",
  fileid: "a/b.jpg",
};

/** A download of `a/b.jpg`. */
export const DOWNLOAD = {
  operation: "download",
  appid: "10001234",
  bucket: "photos",
  userid: "0",
  fileid: "a/b.jpg",
  acceptV1: true,
  oneTimeDownloads: "reuse",
} as const satisfies Scope;

/** FIELDS with changes, signed by the pair that the fields name. */
export function sampleToken(changes: Partial<TokenFields> = {}): string {
  const fields = { ...FIELDS, ...changes };
  return makeToken(fields, SECRET_KEYS[fields.secretId as keyof typeof SECRET_KEYS] ?? "a secret of nobody");
}

/** A token of AKIDONE with any bytes and a correct MAC. */
export function signBytes(plaintext: string | Uint8Array): string {
  const bytes = Buffer.from(plaintext);
  const mac = createHmac("sha1", SECRET_KEYS.AKIDONE).update(bytes).digest();
  return Buffer.concat([mac, bytes]).toString("base64");
}

/** The code that `action` throws, or "nothing". Rethrows everything but a HuiyuanError. */
export function codeOf(action: () => unknown): string {
  try {
    action();
    return "nothing";
  } catch (error) {
    if (error instanceof HuiyuanError) return error.code;
    throw error;
  }
}

/** Runs both parts of verifying, without a cache. */
export function verifyToken(text: string, keys: KeyLookup, scope: Scope, now: number): Grant {
  return authorize(authenticateToken(text, keys), scope, now);
}
