// The options of the download port's application, for tests of one of its parts.
import { SILENT_LOG } from "../../src/core/log.ts";
import { createDownloadApp, type DownloadAppOptions } from "../../src/serve/http/app.ts";
import type { RestApiParts } from "../../src/serve/http/rest/call.ts";
import { type HttpServer, startServer } from "../../src/serve/http/wire/server.ts";

/** Without `given`: no domain, no project, no health path; each request id is `id`. */
export function downloadAppOptions(given: Partial<DownloadAppOptions> = {}): DownloadAppOptions {
  const projects = { find: () => undefined, isDomain: () => false };
  return {
    registry: { sites: { find: () => undefined } },
    // A project is needed before any other part is used.
    restApi: {
      projects: () => projects,
      clients: () => undefined,
      tokens: { boundFile: () => undefined },
    } as unknown as RestApiParts,
    healthPath: () => "",
    readiness: async () => ({ isReady: true, notes: [] }),
    nextRequestId: () => "id",
    log: SILENT_LOG,
    answered: () => {},
    hit: () => {},
    called: () => {},
    ...given,
  };
}

/** The application behind node's server, with the port. */
export async function startDownloadApp(options: Partial<DownloadAppOptions> = {}): Promise<HttpServer> {
  const { nextRequestId, ...parts } = downloadAppOptions(options);
  const { listener } = createDownloadApp({ nextRequestId, ...parts });
  return startServer({ host: "127.0.0.1", port: 0, nextRequestId, listener, continues: true });
}
