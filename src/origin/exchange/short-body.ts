// Reads the beginning of a response body as text, for servers that explain an error in the body.

import type { Lifetime } from "../dial/lifetime.ts";
import type { ReplyBody } from "./exchange.ts";

/**
 * Returns at most `maxBytes` of the body as UTF-8 and ends the exchange. Undefined for a truncated body. Throws only
 * the lifetime's failure, which ends the fetch itself.
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
