// A download with its hands tied: the very functions of the download port decide over a request, on a site that asks no
// origin, spends no token, reads no image and changes nothing. What they would have done is noted instead.
import type { HuiyuanError } from "../../core/errors.ts";
import { SILENT_LOG } from "../../core/log.ts";
import { createDownloads } from "../download/download.ts";
import type { DownloadRequest, Exchange } from "../request/exchange.ts";
import type { Site, Sites } from "../request/site.ts";
import { type DownloadResponse, flatHeaders, type HeaderList } from "../response/response.ts";
import { createDryRunSite, type DryRunNotes } from "./dry-run-site.ts";

export interface DryRun extends Pick<DryRunNotes, "routes" | "tokens" | "asks" | "renders"> {
  /** Undefined where no domain was found. */
  readonly site: Site | undefined;
  /** These three are undefined and empty where an origin or the renderer has the last word. */
  readonly status: number | undefined;
  readonly headers: HeaderList;
  readonly failure: HuiyuanError | undefined;
  readonly outcome: Exchange["outcome"];
}

/** `request`: as it would come over the wire. Never throws for what is wrong with it. */
export async function runDry(request: DownloadRequest, sites: Sites): Promise<DryRun> {
  const pending = new Set<Promise<unknown>>();
  const notes: DryRunNotes = {
    routes: [],
    tokens: [],
    asks: [],
    renders: [],
    track(work) {
      pending.add(work);
      void work.catch(() => undefined).finally(() => pending.delete(work));
      return work;
    },
  };
  let site: Site | undefined;
  const dryRunSite: Sites = {
    find(host) {
      const found = sites.find(host);
      // The first is the request's own; those of image marks come after it.
      site ??= found;
      return found && createDryRunSite(found, request, notes);
    },
  };
  const response = createDryResponse();
  let failure: HuiyuanError | undefined;
  const exchange = await new Promise<Exchange>((resolve) => {
    const failed = (error: HuiyuanError) => {
      failure = error;
    };
    const options = {
      sites: () => dryRunSite,
      nextRequestId: () => "explained",
      log: SILENT_LOG,
      answered: resolve,
      failed,
    };
    createDownloads(options)(request, response);
  });
  while (pending.size > 0) await Promise.allSettled(pending);
  const { routes, tokens, asks, renders } = notes;
  const isOpen = renders.length > 0 || asks.some(({ why, refusal }) => why !== "behind" && refusal === undefined);
  const told = isOpen ? undefined : { status: response.statusCode, headers: response.headers(), failure };
  return {
    site,
    routes,
    tokens,
    asks,
    renders,
    outcome: exchange.outcome,
    status: undefined,
    headers: [],
    failure: undefined,
    ...told,
  };
}

/** Takes an answer and keeps its head. */
function createDryResponse(): DownloadResponse & { headers(): HeaderList } {
  let statusCode = 200;
  let headers: HeaderList | undefined;
  return {
    get statusCode() {
      return statusCode;
    },
    get headersSent() {
      return headers !== undefined;
    },
    destroyed: false,
    writeHead(status, ...parts) {
      statusCode = status;
      headers = flatHeaders(parts);
    },
    write: () => true,
    end() {},
    destroy() {},
    onceDrained: (listener) => listener(),
    onceOver() {},
    onceGone() {},
    headers: () => headers ?? [],
  };
}
