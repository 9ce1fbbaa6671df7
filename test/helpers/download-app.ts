// The options of the download port's application, for tests of one of its parts.
import { SILENT_LOG } from "../../src/core/log.ts";
import type { DownloadAppOptions } from "../../src/http/app.ts";
import type { RestApiParts } from "../../src/http/rest/call.ts";

/** Without `given`: no domain, no project, no health path; each request id is `id`. */
export function downloadAppOptions(given: Partial<DownloadAppOptions> = {}): DownloadAppOptions {
  const projects = { find: () => undefined, isDomain: () => false };
  return {
    sites: () => ({ find: () => undefined }),
    // A project is needed before any other part is used.
    restApi: { projects: () => projects, tokens: { boundFile: () => undefined } } as unknown as RestApiParts,
    healthPath: () => "",
    readiness: async () => ({ isReady: true, notes: [] }),
    nextRequestId: () => "id",
    log: SILENT_LOG,
    answered: () => {},
    called: () => {},
    ...given,
  };
}
