// An operator's own web site on a real nginx. It accepts one host name only, and serves some images by their query.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { eventually } from "./program.ts";
import { type Nginx, startNginx } from "./services.ts";

export interface OwnSite {
  readonly url: string;
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** Removes the file from the site. */
  remove(path: string): Promise<void>;
  /** Returns method and target of the requests that arrive during `work`; waits for `count` of them. */
  asked(count: number, work: () => Promise<void>): Promise<readonly string[]>;
  /** All requests so far. */
  requests(): Promise<readonly string[]>;
  /** Sends SIGKILL. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** `name`: the site's host; other hosts get 421. A query that begins with `size=small` gets `small.jpg`. */
export async function startOwnSite(name: string): Promise<OwnSite> {
  const root = await mkdtemp(join(tmpdir(), "huiyuan-own-site-"));
  const conf = `
    if ($http_host != "${name}") { return 421; }
    if ($args ~ "^size=small") { rewrite ^ /small.jpg break; }
  `;
  const nginx: Nginx = await startNginx({ root, conf });
  const requests = async () => (await nginx.accessLog()).map((line) => line.split(" ").slice(0, 2).join(" "));
  return {
    url: nginx.url,
    async put(path, bytes) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), bytes);
    },
    remove: (path) => rm(join(root, path)),
    async asked(count, work) {
      const before = (await requests()).length;
      await work();
      // nginx logs a request after its response has ended, which may be later than the test sees the response.
      await eventually(async () => (await requests()).length >= before + count, `the site was asked ${count} times`);
      return (await requests()).slice(before);
    },
    requests,
    stop: () => nginx.stop(),
    async close() {
      await nginx.remove();
      await rm(root, { recursive: true });
    },
  };
}
