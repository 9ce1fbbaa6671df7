// Caches tokens whose MAC was right, so that repeated requests do not pay for Base64 and HMAC. It caches only the part
// that is equal for every request; expiry, scope and key are checked on every use.
import { LRUCache } from "lru-cache";
import { HuiyuanError } from "../../core/errors.ts";
import { type Authentic, authenticateToken, authorize, type Grant, type KeyLookup, type Scope } from "./token.ts";

/** Longer tokens are rare and are not cached, which bounds the memory. Characters. */
const MAX_CACHED_CHARS = 512;

/** Verifies tokens, with a bounded cache. */
export interface VerifiedTokens {
  /** As `authenticateToken` and `authorize`; `now` in Unix seconds. Refused tokens are never cached. */
  verify(text: string, scope: Scope, now: number): Grant;
  /** As `authenticateToken`, for callers that do not know the scope yet. */
  authenticate(text: string): Authentic;
  /** The fileid of an authentic token, empty if it has none; undefined if it is not authentic. Never throws. */
  boundFile(text: string): string | undefined;
}

/** `keys` covers every project and is called on every use. At most `maxTokens` (about 1 KB each) are cached. */
export function createVerifiedTokens(options: {
  readonly keys: KeyLookup;
  readonly maxTokens?: number;
}): VerifiedTokens {
  const { keys, maxTokens = 10_000 } = options;
  // The key is the whole text: a prefix or a digest could let one token pass for another.
  const cached = new LRUCache<string, Authentic>({ max: maxTokens });

  function authenticate(text: string): Authentic {
    const known = cached.get(text);
    if (known !== undefined && isKeyCurrent(known)) return known;
    const fresh = authenticateToken(text, keys);
    if (text.length <= MAX_CACHED_CHARS) cached.set(text, fresh);
    return fresh;
  }

  // Keys may have changed since.
  function isKeyCurrent({ fields, key }: Authentic): boolean {
    const current = keys(fields.secretId, fields.appid);
    return current?.enabled === true && current.secretKey === key.secretKey;
  }

  return {
    verify: (text, scope, now) => authorize(authenticate(text), scope, now),
    authenticate,
    boundFile(text) {
      try {
        return authenticate(text).fields.fileid;
      } catch (error) {
        if (error instanceof HuiyuanError) return undefined;
        throw error;
      }
    },
  };
}
