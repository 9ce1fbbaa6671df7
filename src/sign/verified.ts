// Remembers the tokens whose MAC was right, so that a hot picture does not pay for Base64 and HMAC on every request.
// Only the part that is the same for every request is remembered; expiry, scope and key are looked at on every use.
import { LRUCache } from "lru-cache";
import { HuiyuanError } from "../core/errors.ts";
import { type Authentic, authenticateToken, authorize, type Grant, type KeyLookup, type Scope } from "./token.ts";

/** Longer tokens are verified anew each time: they are rare, and a bound on length is a bound on memory. Characters. */
const MAX_REMEMBERED_CHARS = 512;

/** Verifies tokens with a bounded memory. */
export interface VerifiedTokens {
  /** What `verifyToken` of token.ts does and throws; `now` in Unix seconds. Refused tokens are never remembered. */
  verify(text: string, scope: Scope, now: number): Grant;
  /** What `authenticateToken` does and throws, for callers that do not know the scope yet. */
  authenticate(text: string): Authentic;
  /** The file that an authentic token names, empty for none; undefined where it is not authentic. Never throws. */
  boundFile(text: string): string | undefined;
  /** Forgets all tokens. To be called when keys have changed. */
  clear(): void;
  /** Tokens remembered now. */
  readonly size: number;
}

/** `keys` sees every project and is asked on every use. At most `maxTokens` (about 1 KB each) are remembered. */
export function createVerifiedTokens(options: {
  readonly keys: KeyLookup;
  readonly maxTokens?: number;
}): VerifiedTokens {
  const { keys, maxTokens = 10_000 } = options;
  // Keyed by the whole text: a prefix or a digest would let one token answer for another.
  const remembered = new LRUCache<string, Authentic>({ max: maxTokens });

  function authenticate(text: string): Authentic {
    const known = remembered.get(text);
    if (known !== undefined && isKeyCurrent(known)) return known;
    const fresh = authenticateToken(text, keys);
    if (text.length <= MAX_REMEMBERED_CHARS) remembered.set(text, fresh);
    return fresh;
  }

  // Holds between a change of keys and the call of clear() that follows it.
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
    clear: () => remembered.clear(),
    get size() {
      return remembered.size;
    },
  };
}
