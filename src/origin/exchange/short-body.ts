// Reads the beginning of an answer's body as text, for answers that say in their body what went wrong.

import type { Lifetime } from "../dial/lifetime.ts";
import type { ReplyBody } from "./exchange.ts";

/**
 * At most `maxBytes` of the body as UTF-8, then the exchange is ended; undefined for a body that breaks off. Throws only
 * the lifetime's failure, the end of the fetch itself.
 */
export function readShortBody(body: ReplyBody, maxBytes: number, lifetime: Lifetime): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const finish = () => resolve(Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8"));
    body.start({
      data(chunk) {
        chunks.push(chunk);
        received += chunk.length;
        if (received > maxBytes) {
          body.destroy();
          finish();
        }
        return true;
      },
      end: finish,
      error() {
        if (lifetime.failure === undefined) resolve(undefined);
        else reject(lifetime.failure);
      },
    });
  });
}
