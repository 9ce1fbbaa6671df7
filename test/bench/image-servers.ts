// Starts the servers of the thumbnail bench: Huiyuan, nginx's image_filter, unjs/ipx, and sharp behind a bare http
// server. Each has the photograph locally: in its store, its folder or its memory.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { get } from "../helpers/get.ts";
import { freePort } from "../helpers/services.ts";
import { answering, type Contender, type ContenderOptions, startHuiyuan } from "./contenders.ts";
import { photograph } from "./photograph.ts";
import { end, firstLine, SERVER_CORE, spawnOn } from "./processes.ts";

export type ThumbnailFormat = "jpeg" | "webp" | "avif";

export interface ImageServer extends Contender {
  /** The request target of a thumbnail; `{run}`, `{width}` and `{quality}` are placeholders. */
  thumbnail(format: ThumbnailFormat): string;
}

const NAME = "photograph.jpg";

/** Makes a folder with the photograph. By then the origin has drawn its own copy, so no timed fetch waits for that. */
export async function photographFolder({ folder, originPort }: ContenderOptions): Promise<string> {
  await get({ port: originPort, path: "/photograph/first.jpg", deadlineMs: 120_000 });
  const place = join(folder, "photographs");
  await mkdir(place, { recursive: true });
  await writeFile(join(place, NAME), await photograph());
  return place;
}

/** Fetches a different photograph from the origin in every run, so that no earlier result is reused. */
export async function startImageHuiyuan(
  options: ContenderOptions & { readonly limits?: object },
): Promise<ImageServer> {
  const huiyuan = await startHuiyuan(options);
  return {
    ...huiyuan,
    thumbnail: (format) =>
      `/photograph/{run}.jpg?imageView2/2/w/{width}/q/{quality}!${format === "jpeg" ? "" : `/format/${format}`}`,
  };
}

export async function startBareSharp(photographs: string): Promise<ImageServer> {
  const server = await startNode("bare-sharp.ts", join(photographs, NAME));
  return { ...server, name: "sharp behind node:http", thumbnail: (format) => `/{width}/{quality}/${format}` };
}

/** The same as the bare server, but a separate process renders. */
export async function startIsolatedSharp(photographs: string): Promise<ImageServer> {
  const server = await startNode("isolated-sharp.ts", join(photographs, NAME));
  return { ...server, name: "sharp in a process of its own", thumbnail: (format) => `/{width}/{quality}/${format}` };
}

export async function startIpx(photographs: string): Promise<ImageServer> {
  const server = await startNode("ipx.ts", photographs);
  return { ...server, name: "ipx", thumbnail: (format) => `/w_{width},q_{quality},f_${format}/${NAME}` };
}

async function startNode(file: string, argument: string) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawnOn(SERVER_CORE, process.execPath, ["--import", "tsx", path, argument]);
  const port = Number(await firstLine(child));
  return { port, pid: child.pid ?? 0, target: (path: string) => path, stop: () => end(child) };
}

/** One worker, as packaged; it makes only JPEG from JPEG. */
export async function startImageFilter(photographs: string, folder: string): Promise<ImageServer> {
  const home = join(folder, "image-filter");
  await mkdir(join(home, "logs"), { recursive: true });
  const port = await freePort();
  const file = join(home, "nginx.conf");
  await writeFile(
    file,
    `load_module /usr/lib/nginx/modules/ngx_http_image_filter_module.so;
daemon off;
master_process off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/logs/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    root ${photographs};
    location / {
      image_filter_buffer 20M;
      image_filter_jpeg_quality $arg_q;
      image_filter resize $arg_w -;
    }
  }
}
`,
  );
  const child = spawnOn(SERVER_CORE, "nginx", ["-p", home, "-c", file]);
  await answering(port, "nginx with image_filter");
  return {
    ...{ name: "nginx image_filter", port, pid: child.pid ?? 0, stop: () => end(child) },
    target: (path) => path,
    thumbnail: () => `/${NAME}?w={width}&q={quality}`,
  };
}
