// Starts two servers with one listener, one of them with the fast path: every difference between their responses is a
// fault of the fast path.
import { createDownloadApp, type DownloadAppOptions } from "../../src/serve/http/app.ts";
import type { DownloadResponse } from "../../src/serve/http/request/download-response.ts";
import type { DownloadRequest } from "../../src/serve/http/request/exchange.ts";
import { NodeResponse } from "../../src/serve/http/request/exchange.ts";
import { createFastPath } from "../../src/serve/http/wire/fast-path/fast-path.ts";
import { startServer } from "../../src/serve/http/wire/server.ts";
import { downloadAppOptions } from "./download-app.ts";

export type Listener = (request: DownloadRequest, response: DownloadResponse) => void;

export interface FastPathLab {
  /** The ports of the server with the fast path and of the other one. */
  readonly fast: number;
  readonly plain: number;
  /** The number of requests that the fast path has answered. */
  readonly onFastPath: number;
  stop(): Promise<void>;
}

export async function startFastPathLab(listener: Listener, { idleMs = 60_000 } = {}): Promise<FastPathLab> {
  let onFastPath = 0;
  const options = {
    host: "127.0.0.1",
    port: 0,
    idleMs,
    nextRequestId: () => "id",
    listener: (request: Parameters<Listener>[0], response: ConstructorParameters<typeof NodeResponse>[0]) =>
      listener(request, new NodeResponse(response)),
  };
  const counted: Listener = (request, response) => {
    onFastPath += 1;
    listener(request, response);
  };
  const fast = await startServer({
    ...options,
    accept: createFastPath({ listener: counted, takes: (url) => !url.startsWith("/photos/") }),
  });
  const plain = await startServer(options);
  return {
    fast: fast.port,
    plain: plain.port,
    get onFastPath() {
      return onFastPath;
    },
    stop: async () => void (await Promise.all([fast.stop(0), plain.stop(0)])),
  };
}

/** The lab of the download port's own application. */
export async function startDownloadLab(options: Partial<DownloadAppOptions> = {}): Promise<FastPathLab> {
  const parts = downloadAppOptions(options);
  const app = createDownloadApp(parts);
  let onFastPath = 0;
  const { takes, listener } = app.fastPath;
  const counted: typeof listener = (request, response) => {
    onFastPath += 1;
    listener(request, response);
  };
  const { nextRequestId } = parts;
  const server = { host: "127.0.0.1", port: 0, nextRequestId, listener: app.listener, continues: true };
  const accept = createFastPath({ takes, listener: counted });
  const fast = await startServer({ ...server, accept });
  const plain = await startServer(server);
  return {
    fast: fast.port,
    plain: plain.port,
    get onFastPath() {
      return onFastPath;
    },
    stop: async () => void (await Promise.all([fast.stop(0), plain.stop(0)])),
  };
}
