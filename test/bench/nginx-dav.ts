// The comparison for uploads: nginx with one worker that accepts PUT into a folder. It writes each body to a temporary
// file and renames it without sync. It computes no hash, requires no signature, and checks no image.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { get } from "../helpers/get.ts";
import { eventually } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import type { Contender } from "./contenders.ts";
import { end, SERVER_CORE, spawnOn } from "./processes.ts";

/** A GET returns the bytes that a PUT has stored. */
export async function startNginxDav(home: string, files: string): Promise<Contender> {
  await mkdir(join(home, "logs"), { recursive: true });
  await mkdir(files, { recursive: true });
  const port = await freePort();
  const file = join(home, "nginx.conf");
  await writeFile(file, configuration({ home, files, port }));
  const child = spawnOn(SERVER_CORE, "nginx", ["-p", home, "-c", file]);
  const answers = () =>
    get({ port, path: "/ready" }).then(
      () => true,
      () => false,
    );
  await eventually(answers, "nginx does not answer", 20_000);
  return { name: "nginx, WebDAV", port, pid: child.pid ?? 0, target: (path) => path, stop: () => end(child) };
}

function configuration({ home, files, port }: { home: string; files: string; port: number }): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/logs/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_time 24h;
  client_body_temp_path ${home}/temporary;
  client_body_buffer_size 128k;
  client_max_body_size 25m;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      root ${files};
      dav_methods PUT;
    }
  }
}
`;
}
