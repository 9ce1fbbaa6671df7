// A small shop with some days of work behind it, for pictures of the console: the real program, three buckets, origins
// that answer, fail and are slow, visitors, uploads, a backup and two migrations.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { get } from "../helpers/get.ts";
import { huiyuan, install, PROGRAM } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const SAMPLES = fileURLToPath(new URL("../../config/samples/", import.meta.url));
const FOLDERS = ["2026/autumn", "2026/summer", "posters", "products/2026-11"];
const IMAGES = "images.shop.example";
const MEMBERS = "members.shop.example";
const PROCESSED = ["imageView2/2/w/480", "imageView2/1/w/320/h/320", "imageMogr2/format/webp/quality/75"];
const VISITORS = 4;
const CLIENT = { "user-agent": "Mozilla/5.0", "accept-encoding": "identity" };

export interface Scene {
  readonly adminUrl: string;
  /** Addresses of this run, and the names that a real shop would have in their place. */
  readonly names: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** A trial of the sample site, with its page. */
export async function startTrial() {
  const command = [PROGRAM, "try", "--port", "0", "--admin-port", "0", "--json"];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  const close = async () => {
    child.kill("SIGINT");
    await once(child, "exit");
  };
  return { url: JSON.parse(line).galleryUrl as string, close };
}

/** Visitors come until it is closed. */
export async function openScene(): Promise<Scene> {
  const shop = await startShop();
  // A migration reaches the server at the port of the settings.
  const installation = await install({ server: { adminPort: await freePort() }, projects: [] });
  const settings = { ...JSON.parse(await readFile(installation.file, "utf8")), ...settingsOf(shop.url) };
  await writeFile(installation.file, stringify(settings));
  const program = await installation.start();
  const adminUrl = `http://127.0.0.1:${program.adminPort}`;
  const post = async (path: string, body: object) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${adminUrl}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    await answer.text();
  };
  const leaving = new AbortController();
  const { keys } = shop;
  for (const key of keys) await download(program.downloadPort, `/${encodeURI(key)}`);
  for (const key of keys.slice(0, 8))
    for (const name of ["card", "square"]) await download(program.downloadPort, `/${encodeURI(key)}!${name}`);
  const visits = Promise.all(Array.from({ length: VISITORS }, () => visit(program.downloadPort, keys, leaving.signal)));
  await migrate(post, keys);
  await post("/objects/purge", { bucket: `${APPID}/photos`, names: keys.slice(0, 3) });
  await post("/objects/delete", { bucket: `${APPID}/photos`, names: keys.slice(-2) });
  await mkdir(join(installation.folder, "backup"));
  await huiyuan(["backup", "--config", installation.file, join(installation.folder, "backup")]);
  return {
    adminUrl,
    names: { [shop.url]: "https://origin.shop.example", [installation.folder]: "/var/lib/huiyuan" },
    async close() {
      leaving.abort();
      await visits;
      await program.kill();
      await installation.remove();
      await shop.close();
    },
  };
}

function settingsOf(url: string): object {
  const origin = { type: "site", url, allowPrivate: true, connections: 16 };
  const mirror = { origins: [origin], breaker: { failures: 1_000 } };
  const aliases = {
    card: "imageView2/2/w/480",
    square: "imageView2/1/w/320/h/320",
    webp: "imageMogr2/format/webp/quality/75",
  };
  return {
    limits: { memory: "6MiB", freeDisk: "1MB", renderTime: "25s" },
    projects: [
      {
        appid: APPID,
        keys: [KEYS[0]],
        buckets: [
          {
            name: "photos",
            aliases,
            domains: [
              { host: IMAGES, mirror },
              { host: "*", mirror },
            ],
          },
          {
            name: "members",
            token: "required",
            referers: { mode: "allow", domains: ["*.shop.example"] },
            domains: [{ host: MEMBERS, mirror }],
          },
          { name: "avatars", styles: { face: "imageView2/1/w/96/h/96" }, domains: [{ host: "avatars.shop.example" }] },
        ],
      },
    ],
  };
}

/** The origin: each sample under several keys, with the delay of a distant machine. Some keys fail. */
async function startShop() {
  const names = (await readdir(SAMPLES)).filter((name) => !name.endsWith(".md"));
  const bodies = await Promise.all(names.map((name) => readFile(join(SAMPLES, name))));
  const keys = FOLDERS.flatMap((folder) => names.map((name) => `${folder}/${name}`));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    const index = names.findIndex((name) => path.includes(name));
    const status = path.includes("broken") ? 503 : index < 0 ? 404 : 200;
    setTimeout(() => response.writeHead(status).end(bodies[index]), 20 + Math.random() * 90);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { url, keys, close };
}

/** Most visitors want what others want too; few want something new, processed, or gone. */
async function visit(port: number, keys: readonly string[], leaving: AbortSignal): Promise<void> {
  for (let turn = 0; !leaving.aborted; turn += 1) {
    const chance = Math.random();
    const key = encodeURI(keys[Math.floor(Math.random() ** 3 * keys.length)] ?? "");
    const wanted =
      chance < 0.004
        ? `/broken/${turn}.jpg`
        : chance < 0.02
          ? `/gone/${turn}.jpg`
          : chance < 0.08
            ? `/new/${Math.floor(chance * 1e9)}/lighthouse.jpg`
            : chance < 0.2
              ? `/${key}?${PROCESSED[turn % PROCESSED.length]}`
              : `/${key}`;
    await download(port, wanted);
    // Waves of visitors, some minutes long.
    await delay(60 + 40 * Math.sin(turn / 150), undefined, { signal: leaving }).catch(() => undefined);
  }
}

async function download(port: number, path: string): Promise<void> {
  await get({ port, path, host: IMAGES, headers: CLIENT });
}

type Post = (path: string, body: object) => Promise<void>;

async function migrate(post: Post, keys: readonly string[]): Promise<void> {
  const config = { "appinfo.appid": APPID, "appinfo.bucket": "members" };
  const list = [...keys, "broken/old-poster.jpg", "gone/2014/banner.png", "gone/2014/logo.gif"].join("\n");
  await post("/migrations", { id: "members-from-the-old-site", config, fromOrigin: `${MEMBERS}`, list });
}
