// Answers memory hits on the fast path, by the function that the application's handler calls first. All other requests
// go to the application, with the same request and response objects.

import { isPathOf } from "../../admin/readiness.ts";
import type { DownloadApp, DownloadAppOptions } from "../../app.ts";
import { serveFromMemory } from "../../download/download.ts";
import { beginExchange } from "../../request/exchange.ts";
import type { Acceptor, AcceptorParts } from "../server.ts";
import { createFastPath } from "./fast-path.ts";

export interface MemoryHitsOptions
  extends Pick<DownloadAppOptions, "sites" | "healthPath" | "nextRequestId" | "answered">,
    Pick<DownloadApp, "serve"> {
  /** Called once a memory hit. */
  readonly hit: () => void;
}

export function answerMemoryHits(options: MemoryHitsOptions): (server: AcceptorParts) => Acceptor {
  const { sites, healthPath, nextRequestId, answered, hit, serve } = options;
  return createFastPath({
    takes: (url) => !url.startsWith("/photos/") && !isPathOf(url, healthPath()),
    listener(request, response) {
      const exchange = beginExchange(request, response, nextRequestId());
      if (!serveFromMemory(exchange, sites())) return serve(exchange);
      hit();
      answered(exchange);
    },
  });
}
