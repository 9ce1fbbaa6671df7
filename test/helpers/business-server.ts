// A business server that receives upload callbacks: it verifies each notice with the SDK's own check and records it.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CallbackNotice, verifyCallback } from "../../src/serve/sign/callback.ts";

export interface BusinessServer {
  readonly url: string;
  /** Verified notices so far. */
  readonly told: readonly CallbackNotice[];
  close(): Promise<void>;
}

export async function startBusinessServer(secret: string): Promise<BusinessServer> {
  const told: CallbackNotice[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString("latin1");
    const verdict = verifyCallback(body, { secret, now: Math.floor(Date.now() / 1_000) });
    if (!verdict.ok) return void response.writeHead(403).end();
    told.push(verdict.notice);
    response.end('{"noted":true}');
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/uploaded`,
    told,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
