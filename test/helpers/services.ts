// Says which real programs are here for tests, and starts an nginx as an origin or a cache, or a Varnish as a cache.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import type { TestOptions } from "vitest";
import { get } from "./get.ts";
import { eventually, within } from "./program.ts";

/** Where Debian's mate-backgrounds puts its photographs. */
export const PHOTOGRAPHS_FOLDER = "/usr/share/backgrounds/mate";

interface Service {
  readonly isHere: () => boolean;
  /** How to get it, for the summary of skipped tests. */
  readonly how: string;
  /** True if .ci/run does not install it, because it takes over 100 MB: its tests are skipped with CI=true, too. */
  readonly isLarge?: true;
}

const SERVICES = {
  nginx: { isHere: onPath("nginx"), how: "apt-get install nginx" },
  varnish: { isHere: onPath("varnishd"), how: "apt-get install varnish" },
  // Containers may forbid ptrace, so that the program is there and of no use.
  strace: {
    isHere: () => runs("strace", "-o", "/dev/null", "true"),
    how: "apt-get install strace, and allow ptrace",
  },
  // A file system of a few MiB, to be full or read-only.
  tmpfs: { isHere: isMountAllowed, how: "run as root, with CAP_SYS_ADMIN in a container" },
  // Files of /etc as a test wants them, for one program alone.
  "an /etc of its own": {
    isHere: () => runs("unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"),
    how: "run as root, with CAP_SYS_ADMIN in a container; it must have an /etc/hosts and an /etc/resolv.conf",
  },
  // An S3 store; ceph.ts starts it.
  ceph: {
    isHere: onPath("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "bash", "flock"),
    how: "apt-get install radosgw ceph-mon ceph-osd",
  },
  photographs: { isHere: () => existsSync(PHOTOGRAPHS_FOLDER), how: "apt-get install mate-backgrounds" },
  // Text watermarks are drawn with them.
  fonts: { isHere: areFontsHere, how: "apt-get install fonts-noto-cjk fonts-dejavu-core" },
  chromium: { isHere: onPath("chromium"), how: "apt-get install chromium" },
  // The examples of the documents need these.
  bash: { isHere: onPath("bash"), how: "apt-get install bash" },
  curl: { isHere: onPath("curl"), how: "apt-get install curl" },
  openssl: { isHere: onPath("openssl"), how: "apt-get install openssl" },
  python3: { isHere: onPath("python3"), how: "apt-get install python3" },
  php: { isHere: onPath("php"), how: "apt-get install php-cli" },
  mcs: { isHere: onPath("mcs", "mono"), how: "apt-get install mono-mcs" },
  javac: { isHere: onPath("javac", "java"), how: "apt-get install default-jdk-headless", isLarge: true },
  go: { isHere: onPath("go"), how: "apt-get install golang-go", isLarge: true },
} as const satisfies Readonly<Record<string, Service>>;

export type ServiceName = keyof typeof SERVICES;

declare module "vitest" {
  interface TaskMeta {
    /** Services that a skipped test lacks, each with how to get it: config/name-missing.ts reports them. */
    missing?: Readonly<Record<string, string>>;
  }
}

/**
 * Options of a test or a group that is skipped unless all of `names` are on this machine:
 * `test("nginx answers", needs("nginx"), async () => …)`. The run names the missing ones when it ends.
 * Throws for a missing one with CI=true, because nothing may be skipped there, unless .ci/run does not install it.
 */
export function needs(...names: readonly ServiceName[]): Pick<TestOptions, "skip" | "meta"> {
  const missing = names.filter((name) => !SERVICES[name].isHere());
  for (const name of missing) {
    const { how, isLarge }: Service = SERVICES[name];
    if (process.env.CI === "true" && isLarge !== true) {
      throw new Error(`Cannot test with ${name}: it is not on this machine (${how})`);
    }
  }
  if (missing.length === 0) return {};
  return { skip: true, meta: { missing: Object.fromEntries(missing.map((name) => [name, SERVICES[name].how])) } };
}

/** Whether all of `names` are on this machine, for a hook. Throws as needs() does, which a test should use. */
export function serviceAvailable(...names: readonly ServiceName[]): boolean {
  return needs(...names).skip !== true;
}

function onPath(...names: readonly string[]): () => boolean {
  return () => names.every((name) => programPath(name) !== undefined);
}

/** Finds the files of fonts-noto-cjk and fonts-dejavu-core, in whichever folder a distribution keeps them. */
function areFontsHere(): boolean {
  const folders = ["/usr/share/fonts", "/usr/local/share/fonts"].filter((folder) => existsSync(folder));
  const files = folders.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }));
  return ["NotoSansCJK", "NotoSerifCJK", "DejaVuSans"].every((font) => files.some((file) => file.includes(font)));
}

function runs(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function isMountAllowed(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-mount-"));
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", folder], { stdio: "ignore" }).status === 0;
  if (isMounted) spawnSync("umount", [folder], { stdio: "ignore" });
  rmdirSync(folder);
  return isMounted;
}

/**
 * The program's file, or undefined if no folder of PATH has it. The sbin beside a bin of PATH counts as well: Debian
 * keeps servers there, and does not put it on the PATH of ordinary users.
 */
export function programPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const siblings = folders.filter((folder) => basename(folder) === "bin").map((folder) => join(folder, "../sbin"));
  return [...folders, ...siblings].map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not for us
  }
}

export interface Nginx {
  /** `http://127.0.0.1:<port>` (https with `tls`), the same after stop() and start(). */
  readonly url: string;
  readonly port: number;
  /** Request lines so far, oldest first. nginx writes one when its answer has ended, which a client may see earlier. */
  accessLog(): Promise<string[]>;
  /** kill -9, open connections with it; resolves when it is gone. Harmless when it is not running. */
  stop(): Promise<void>;
  /** Once more on the same port, after stop(). */
  start(): Promise<void>;
  /** stop(), and its logs go too. */
  remove(): Promise<void>;
}

export interface NginxOptions {
  /** The folder that is served, an absolute path. */
  readonly root: string;
  /** Further directives of the server block, such as `limit_rate 64k;`. */
  readonly conf?: string;
  /** Files in PEM. With them it speaks HTTPS only. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** These directives join the http block, such as `proxy_cache_path`; a relative path lies in nginx's own folder. */
  readonly httpConf?: string;
}

/** A real nginx on a free loopback port, answering when this resolves. The caller stops or removes it. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const program = programPath("nginx");
  if (program === undefined) throw new Error("Cannot start nginx: it is not on this machine");
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-nginx-"));
  await mkdir(join(folder, "logs"));
  const port = await freePort();
  const file = join(folder, "nginx.conf");
  await writeFile(file, configuration({ ...options, folder, port }));

  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn(program, ["-p", folder, "-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    await listening(child);
  };
  const stop = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await within(exited, 10_000, () => "nginx did not end after SIGKILL");
  };
  await start();
  return {
    url: `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    accessLog: async () => (await readFile(join(folder, "logs/access.log"), "utf8")).split("\n").slice(0, -1),
    stop,
    start,
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One process and no master, so that killing it leaves no workers behind, and root and others run it alike. */
function configuration(parts: NginxOptions & { readonly folder: string; readonly port: number }): string {
  const { folder, port, root, conf = "", httpConf = "", tls } = parts;
  const quoted = (path: string) => `"${path.replace(/["\\$]/g, "\\$&")}"`;
  const certificate = tls && `ssl_certificate ${quoted(tls.certificate)};\n    ssl_certificate_key ${quoted(tls.key)};`;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
master_process off;
pid ${quoted(join(folder, "nginx.pid"))};
error_log stderr notice;
events { worker_connections 1024; }
http {
  types {
    image/jpeg jpg jpeg;
    image/png png;
    image/gif gif;
    image/webp webp;
    image/avif avif;
    image/bmp bmp;
    text/html html;
  }
  default_type application/octet-stream;
  log_format line escape=none '$request';
  access_log ${quoted(join(folder, "logs/access.log"))} line;
  ${temporary.map((kind) => `${kind}_temp_path ${quoted(join(folder, kind))};`).join("\n  ")}
  large_client_header_buffers 4 32k;
  ${httpConf}
  server {
    listen 127.0.0.1:${port}${tls ? " ssl" : ""};
    ${certificate ?? ""}
    root ${quoted(root)};
    ${conf}
  }
}
`;
}

/** Resolves when nginx has its socket; rejects with what it said when it ends instead. */
function listening(child: ChildProcess): Promise<void> {
  let said = "";
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      // Kept short: the notices of a long run go nowhere else.
      said = (said + chunk.toString()).slice(-8_192);
      // Said by the event module, which is set up after the sockets are open: what connects now is in their backlog.
      if (/using the "\w+" event method/.test(said)) resolve();
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`nginx ended (${code ?? signal}):\n${said}`)));
  });
  return within(ready, 30_000, () => `nginx was not ready in time:\n${said}`);
}

export interface Varnish {
  readonly port: number;
  /** Resolves when it is gone and its folder is removed. */
  remove(): Promise<void>;
}

/** Starts a real Varnish in front of a loopback port: built-in rules, no grace. The caller removes it. */
export async function startVarnish(originPort: number): Promise<Varnish> {
  const program = programPath("varnishd");
  if (program === undefined) throw new Error("Cannot start Varnish: it is not on this machine");
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-varnish-"));
  const port = await freePort();
  const places = ["-a", `127.0.0.1:${port}`, "-b", `127.0.0.1:${originPort}`, "-n", join(folder, "work")];
  const limits = ["-s", "malloc,64m", "-p", "default_grace=0"];
  const child = spawn(program, ["-F", "-j", "none", ...places, ...limits], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-8_192);
  });
  const exited = once(child, "exit");
  const remove = async () => {
    child.kill("SIGTERM");
    await within(exited, 30_000, () => `Varnish did not end after SIGTERM:\n${said}`);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const answers = () =>
    get({ port, path: "/" }).then(
      () => true,
      () => false,
    );
  try {
    // Varnish compiles its rules before it listens.
    await eventually(async () => child.exitCode !== null || (await answers()), "Varnish answers", 60_000);
    if (child.exitCode !== null) throw new Error(`Varnish ended (${child.exitCode}):\n${said}`);
  } catch (error) {
    await remove();
    throw error;
  }
  return { port, remove };
}

/**
 * A port of 127.0.0.1 where nobody listens, and that no other test is given. Below those that the kernel gives to connections and to
 * servers on port 0: another test would soon have it.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    turn += 1;
    // Test files that run at the same time differ in their pool's number.
    const lane = Number(process.env.VITEST_POOL_ID ?? 0) % LANES;
    const port = LOWEST_PORT + LANES * (turn % PORTS_OF_LANE) + lane;
    const server = createServer().listen(port, "127.0.0.1");
    // An "error" rejects: the port is taken.
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error("Cannot find a free port: 50 were taken");
}

/** None of those from here on is refused to origins (src/core/ports.ts). The kernel's own begin at 32768 on Linux. */
const LOWEST_PORT = 12_000;
const LANES = 8;
const PORTS_OF_LANE = 1_875;
/** From anywhere, for runs of other people on this machine; from there on none twice. */
let turn = randomInt(PORTS_OF_LANE);
