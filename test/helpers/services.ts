// Finds the real programs that tests need, and starts an nginx as an origin or a cache, or a Varnish as a cache. The
// file is long because skipping, ports and the servers share the list of programs.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestOptions } from "vitest";
import { get } from "./get.ts";
import { eventually, within } from "./program.ts";

/** The folder of the photographs in Debian's mate-backgrounds. */
export const PHOTOGRAPHS_FOLDER = "/usr/share/backgrounds/mate";

/** A user without an account, without rights. */
export const ANOTHER_USER_ID = 12_345;
/** Arguments of `setpriv`, before the command that this user runs. */
export const ANOTHER_USER: readonly string[] = [
  ...[`--reuid=${ANOTHER_USER_ID}`, `--regid=${ANOTHER_USER_ID}`, "--clear-groups"],
  ...["--no-new-privs", "--bounding-set=-all"],
];

interface Service {
  readonly isHere: () => boolean;
  /** Installation hint, for the summary of skipped tests. */
  readonly how: string;
  /**
   * True if .ci/run does not provide it: it takes over 100 MB, or depends on the folder of the checkout. Its tests are
   * skipped even with CI=true.
   */
  readonly isOptional?: true;
}

const SERVICES = {
  nginx: { isHere: onPath("nginx"), how: "apt-get install nginx" },
  valkey: { isHere: onPath("valkey-server"), how: "apt-get install valkey-server" },
  varnish: { isHere: onPath("varnishd"), how: "apt-get install varnish" },
  // Containers may forbid ptrace; then the program is installed but does not work.
  strace: {
    isHere: () => runs("strace", "-o", "/dev/null", "true"),
    how: "apt-get install strace, and allow ptrace",
  },
  // A file system of a few MiB that tests fill or make read-only.
  tmpfs: { isHere: isMountAllowed, how: "run as root, with CAP_SYS_ADMIN in a container" },
  // A private /etc for one program, with files that a test replaces.
  "an /etc of its own": {
    isHere: () => runs("unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"),
    how: "run as root, with CAP_SYS_ADMIN in a container; it must have an /etc/hosts and an /etc/resolv.conf",
  },
  // The program runs as a service does: another user, who may read this checkout.
  "another user": {
    isHere: () => runs("setpriv", ...ANOTHER_USER, "test", "-r", fileURLToPath(new URL("../../dist", import.meta.url))),
    how: "run as root, in a folder that every user may read",
    isOptional: true,
  },
  // Gives a command a terminal.
  script: { isHere: onPath("script"), how: "apt-get install bsdutils" },
  "systemd-analyze": { isHere: onPath("systemd-analyze"), how: "apt-get install systemd" },
  // Packages for an install, from npm's cache or the registry.
  "npm registry": {
    isHere: () => runs("npm", "view", "--prefer-offline", "commander", "version"),
    how: "connect to the npm registry",
  },
  // Another version of Node, for tests of one data folder with both.
  "another Node": {
    isHere: () => runs(process.env.HUIYUAN_OTHER_NODE ?? "", "--version"),
    how: "npm install --prefix DIR node@24, and HUIYUAN_OTHER_NODE=DIR/node_modules/node/bin/node",
  },
  // An S3 store; ceph.ts starts it.
  ceph: {
    isHere: onPath("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "bash", "flock"),
    how: "apt-get install radosgw ceph-mon ceph-osd",
  },
  photographs: { isHere: () => existsSync(PHOTOGRAPHS_FOLDER), how: "apt-get install mate-backgrounds" },
  // Needed to draw text watermarks.
  fonts: { isHere: areFontsHere, how: "apt-get install fonts-noto-cjk fonts-dejavu-core" },
  chromium: { isHere: onPath("chromium"), how: "apt-get install chromium" },
  // With promtool, which checks alert rules.
  prometheus: { isHere: onPath("prometheus", "promtool"), how: "apt-get install prometheus" },
  // The examples of the documentation need these.
  awk: { isHere: onPath("awk"), how: "apt-get install mawk" },
  bash: { isHere: onPath("bash"), how: "apt-get install bash" },
  curl: { isHere: onPath("curl"), how: "apt-get install curl" },
  openssl: { isHere: onPath("openssl"), how: "apt-get install openssl" },
  python3: { isHere: onPath("python3"), how: "apt-get install python3" },
  php: { isHere: onPath("php"), how: "apt-get install php-cli" },
  mcs: { isHere: onPath("mcs", "mono"), how: "apt-get install mono-mcs" },
  javac: { isHere: onPath("javac", "java"), how: "apt-get install default-jdk-headless", isOptional: true },
  go: { isHere: onPath("go"), how: "apt-get install golang-go", isOptional: true },
} as const satisfies Readonly<Record<string, Service>>;

export type ServiceName = keyof typeof SERVICES;

declare module "vitest" {
  interface TaskMeta {
    /** Services that a skipped test lacks, each with an installation hint: config/name-missing.ts reports them. */
    missing?: Readonly<Record<string, string>>;
  }
}

/**
 * Options of a test or group that is skipped unless this machine has all of `names`: `test("nginx answers",
 * needs("nginx"), async () => …)`. The run lists the missing ones at its end. With CI=true it throws for a missing one,
 * because no test may be skipped there, unless it is optional.
 */
export function needs(...names: readonly ServiceName[]): Pick<TestOptions, "skip" | "meta"> {
  const missing = names.filter((name) => !SERVICES[name].isHere());
  for (const name of missing) {
    const { how, isOptional }: Service = SERVICES[name];
    if (process.env.CI === "true" && isOptional !== true) {
      throw new Error(`Cannot test with ${name}: it is not on this machine (${how})`);
    }
  }
  if (missing.length === 0) return {};
  return { skip: true, meta: { missing: Object.fromEntries(missing.map((name) => [name, SERVICES[name].how])) } };
}

/** Returns whether this machine has all of `names`, for a hook. Throws as needs() does, which a test should use. */
export function serviceAvailable(...names: readonly ServiceName[]): boolean {
  return needs(...names).skip !== true;
}

function onPath(...names: readonly string[]): () => boolean {
  return () => names.every((name) => programPath(name) !== undefined);
}

/** Finds the files of fonts-noto-cjk and fonts-dejavu-core in any folder that a distribution uses. */
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
 * Returns the program's file, or undefined if no folder of PATH has it. The sbin folder beside a bin of PATH counts
 * too: Debian installs servers there, and ordinary users do not have it on PATH.
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
    return false; // missing or not executable
  }
}

export interface Nginx {
  /** `http://127.0.0.1:<port>` (https with `tls`), the same after stop() and start(). */
  readonly url: string;
  readonly port: number;
  /**
   * Request lines so far, oldest first. nginx writes a line after its response has ended, so a client may see the
   * response earlier.
   */
  accessLog(): Promise<string[]>;
  /**
   * Sends SIGKILL, which cuts open connections; resolves once the process has ended. No effect if it is not running.
   */
  stop(): Promise<void>;
  /** Starts it again on the same port, after stop(). */
  start(): Promise<void>;
  /** Stops it and removes its logs. */
  remove(): Promise<void>;
}

export interface NginxOptions {
  /** Absolute path of the served folder. */
  readonly root: string;
  /** Additional directives of the server block, such as `limit_rate 64k;`. */
  readonly conf?: string;
  /** PEM files. If set, nginx speaks HTTPS only. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Directives added to the http block, such as `proxy_cache_path`; a relative path is below nginx's own folder. */
  readonly httpConf?: string;
}

/** Starts a real nginx on a free loopback port; resolves once it answers. The caller stops or removes it. */
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

/**
 * One process without a master, so that killing it leaves no workers, and it runs the same as root and as another user.
 */
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

/** Resolves once nginx has its socket; rejects with its output if it ends instead. */
function listening(child: ChildProcess): Promise<void> {
  let said = "";
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      // Only the last part is kept, because a long run may write much.
      said = (said + chunk.toString()).slice(-8_192);
      // The event module writes this after the sockets are open: a connection made now waits in their backlog.
      if (/using the "\w+" event method/.test(said)) resolve();
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`nginx ended (${code ?? signal}):\n${said}`)));
  });
  return within(ready, 30_000, () => `nginx was not ready in time:\n${said}`);
}

export interface Varnish {
  readonly port: number;
  /** Resolves once the process has ended and its folder is removed. */
  remove(): Promise<void>;
}

/** Starts a real Varnish in front of a loopback port, with built-in rules and no grace. The caller removes it. */
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
 * Returns a port of 127.0.0.1 that is free and not given to any other test. It is below the range that the kernel uses
 * for connections and for port 0, so another test does not get it by chance.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    turn += 1;
    // Test files that run concurrently have different pool numbers.
    const lane = Number(process.env.VITEST_POOL_ID ?? 0) % LANES;
    const port = LOWEST_PORT + LANES * (turn % PORTS_OF_LANE) + lane;
    const server = createServer().listen(port, "127.0.0.1");
    // An "error" event rejects: the port is in use.
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

/**
 * Origins may use every port from here on (src/core/addresses.ts refuses some below). The kernel's own range begins at
 * 32768 on Linux.
 */
const LOWEST_PORT = 12_000;
const LANES = 8;
const PORTS_OF_LANE = 1_875;
/** Starts at a random port, because other users' runs may share this machine. From there on, no port is used twice. */
let turn = randomInt(PORTS_OF_LANE);
