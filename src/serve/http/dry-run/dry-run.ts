// Runs a download without effects, for `explain`: the functions of the download port serve the request on a dry-run
// site. It contacts no origin, spends no token, reads no image, changes nothing. It returns the answer and the notes.
import { asHuiyuanError, type HuiyuanError } from "../../../core/errors.ts";
import { beginDownload, finishDownload } from "../download/download.ts";
import { type DownloadResponse, flatHeaders, type HeaderList } from "../request/download-response.ts";
import { beginExchange, type DownloadExchange, type DownloadRequest } from "../request/exchange.ts";
import type { Site, Sites } from "../request/site.ts";
import { failDownload } from "../response/error-answer.ts";
import { createDryRunSite, type DryRunTrace } from "./dry-run-site.ts";

export interface DryRun extends Pick<DryRunTrace, "routes" | "tokens" | "fetches" | "renders"> {
  /** Undefined: the host has no domain. */
  readonly site: Site | undefined;
  /** These three are undefined or empty if an origin or the renderer decides the answer. */
  readonly status: number | undefined;
  readonly headers: HeaderList;
  readonly failure: HuiyuanError | undefined;
  readonly outcome: DownloadExchange["outcome"];
}

/** `request`: as it would arrive on a connection. Errors of the request are results; this throws none of them. */
export async function runDry(request: DownloadRequest, sites: Sites): Promise<DryRun> {
  const pending = new Set<Promise<unknown>>();
  const notes: DryRunTrace = {
    routes: [],
    tokens: [],
    fetches: [],
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
      // The first site is the request's own; later ones belong to watermarks.
      site ??= found;
      return found && createDryRunSite(found, notes);
    },
  };
  const response = createDryResponse();
  const exchange = beginExchange(request, response, "explained");
  let failure: HuiyuanError | undefined;
  try {
    const context = beginDownload(exchange, dryRunSite);
    if (context !== undefined) await finishDownload(context);
  } catch (error) {
    failure = asHuiyuanError(error);
    failDownload(exchange, failure);
  }
  while (pending.size > 0) await Promise.allSettled(pending);
  const { track: _, ...noted } = notes;
  const { renders, fetches } = noted;
  const isDecidedLater =
    renders.length > 0 || fetches.some(({ why, refusal }) => why !== "behind" && refusal === undefined);
  const answer = isDecidedLater
    ? { status: undefined, headers: [], failure: undefined }
    : { status: response.statusCode, headers: response.headers(), failure };
  return { ...noted, ...answer, site, outcome: exchange.outcome };
}

/** A response that keeps the head and drops the body. */
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
