// Reads the beginning of an answer's body as text, for answers that say in their body what went wrong.
import type { ReplyBody } from "./exchange.ts";
import type { Lifetime } from "./lifetime.ts";

/**
 * At most `maxBytes` of the body as UTF-8, then the exchange is ended. A body that breaks counts as far as it came; only
 * the end of the fetch itself is thrown (the lifetime's failure).
 */
export function readShortBody(body: ReplyBody, maxBytes: number, lifetime: Lifetime): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const finish = () => {
      if (lifetime.failure !== undefined) reject(lifetime.failure);
      else resolve(Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8"));
    };
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
      error: finish,
    });
  });
}
