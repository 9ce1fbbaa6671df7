// What your server needs when the service calls it back: whether a request is from the service, and what it says.
import { type CallbackVerdict, verifyCallback as verify } from "../sign/callback.ts";

export type { CallbackNotice, CallbackRefusal, CallbackVerdict } from "../sign/callback.ts";

/**
 * Whether a request body, exactly as received, is a notice of the service that has the bucket's `callback.secret`. The same
 * notice may come more than once: the same (bucket, fileid, sha1) is the same upload. `now`: milliseconds since 1970.
 */
export function verifyCallback(
  body: string | Uint8Array,
  { secret, now = Date.now() }: { readonly secret: string; readonly now?: number },
): CallbackVerdict {
  return verify(body, { secret, now: Math.floor(now / 1000) });
}
