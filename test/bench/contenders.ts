// Starts the contenders of the bench: Huiyuan as a user starts it, and the two caches to which it is compared,
// configured as their operators would. All mirror the same origin with one process or worker each, on the same core.

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeToken } from "../../src/serve/sign/token.ts";
import { get } from "../helpers/get.ts";
import { eventually, install, type StartOptions } from "../helpers/program.ts";
import { freePort } from "../helpers/services.ts";
import { APPID, KEYS, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { end, firstLine, LOAD_CORE, pinnedTo, SERVER_CORE, spawnOn } from "./processes.ts";

/** A running server under measurement. */
export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** The request target for a path, signed if the contender requires a signature. */
  target(path: string): string;
  stop(): Promise<void>;
}

export interface HuiyuanContender extends Contender {
  readonly adminPort: number;
}

export interface ContenderOptions {
  /** Each contender makes a folder of its own in here for its files. */
  readonly folder: string;
  readonly originPort: number;
  readonly isSigned?: boolean;
}

export interface Origin {
  readonly port: number;
  /** Number of requests so far. */
  asked(): Promise<number>;
  stop(): Promise<void>;
}

const SECRET = "a secret of the bench";
const LIFE_SECONDS = 86_400;

export async function startOrigin(): Promise<Origin> {
  const file = fileURLToPath(new URL("origin.ts", import.meta.url));
  const child = spawnOn(LOAD_CORE, process.execPath, ["--import", "tsx", file]);
  const port = Number(await firstLine(child));
  return {
    port,
    asked: async () => Number((await get({ port, path: "/asked" })).body.toString()),
    stop: () => end(child),
  };
}

/** Starts all contenders in order. Stops them after `run`, or if one of them does not start. */
export async function among<All extends readonly Contender[], Result>(
  starts: readonly [...{ [Index in keyof All]: () => Promise<All[Index]> }],
  run: (contenders: All) => Promise<Result>,
): Promise<Result> {
  const started: Contender[] = [];
  try {
    for (const start of starts) started.push(await start());
    return await run(started as readonly Contender[] as All); // one entry per start, in the same order
  } finally {
    for (const contender of started) await contender.stop();
  }
}

/** As Dockerfile and `npm start` start the program; the other programs on Node get it too. */
const YOUNG_GENERATION = ["--max-semi-space-size=32"];

/** `limits`, `mirror`: settings that differ from the defaults. `name`: needed if several run. */
export async function startHuiyuan(
  options: ContenderOptions & {
    readonly name?: string;
    readonly data?: string;
    readonly limits?: object;
    readonly mirror?: object;
  } & Pick<StartOptions, "env" | "main" | "node" | "nodeFlags">,
): Promise<HuiyuanContender> {
  const { folder, originPort, isSigned = false, name = "Huiyuan", limits = {}, mirror = {} } = options;
  const { env = {}, main, node, nodeFlags = [] } = options;
  const flags = [...YOUNG_GENERATION, ...nodeFlags];
  const source = mirrorOf(`http://127.0.0.1:${originPort}`, mirror);
  const data = options.data ?? join(folder, `huiyuan-${process.hrtime.bigint()}`);
  const installation = await install(
    oneBucket(source, { token: isSigned ? "required" : "off" }, { limits: { freeDisk: "0", ...limits }, data }),
  );
  const program = await installation.start({ wrap: pinnedTo(SERVER_CORE), env, main, node, nodeFlags: flags });
  return {
    name,
    port: program.downloadPort,
    adminPort: program.adminPort,
    pid: program.pid,
    target: isSigned ? (path) => `${path}?sign=${encodeURIComponent(tokenFor(path.slice(1)))}` : (path) => path,
    async stop() {
      await program.stop();
      await installation.remove();
    },
  };
}

function tokenFor(fileid: string): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const [{ secretId, secretKey }] = KEYS;
  const fields = { appid: APPID, bucket: "photos", secretId, expires: issuedAt + LIFE_SECONDS, issuedAt, random: 7 };
  return makeToken({ ...fields, userid: "0", fileid }, secretKey);
}

/**
 * nginx with proxy_cache, one worker. If signed, secure_link checks an MD5 and an expiry. As packaged, it opens the
 * cache file for every request. `keepsOpen` makes it keep descriptors; then it misses changes that others make to the
 * files.
 */
export async function startNginxCache(
  options: ContenderOptions & { readonly keepsOpen?: boolean },
): Promise<Contender> {
  const { folder, originPort, isSigned = false, keepsOpen = false } = options;
  const home = join(folder, `nginx-${process.hrtime.bigint()}`);
  await mkdir(join(home, "logs"), { recursive: true });
  const port = await freePort();
  const file = join(home, "nginx.conf");
  await writeFile(file, nginxConfiguration({ home, port, originPort, isSigned, keepsOpen }));
  const child = spawnOn(SERVER_CORE, "nginx", ["-p", home, "-c", file]);
  await answering(port, "nginx");
  return {
    name: keepsOpen ? "nginx, files kept open" : "nginx",
    port,
    pid: child.pid ?? 0,
    target: isSigned ? (path) => `${path}?${secureLinkFor(path)}` : (path) => path,
    stop: () => end(child),
  };
}

function secureLinkFor(path: string): string {
  const expires = Math.floor(Date.now() / 1_000) + LIFE_SECONDS;
  const md5 = createHash("md5").update(`${expires}${path} ${SECRET}`).digest("base64url");
  return `md5=${md5}&expires=${expires}`;
}

function nginxConfiguration(parts: {
  readonly home: string;
  readonly port: number;
  readonly originPort: number;
  readonly isSigned: boolean;
  readonly keepsOpen: boolean;
}): string {
  const { home, port, originPort, isSigned, keepsOpen } = parts;
  const check = `
      secure_link $arg_md5,$arg_expires;
      secure_link_md5 "$secure_link_expires$uri ${SECRET}";
      if ($secure_link != "1") { return 403; }`;
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
  tcp_nopush off;
  keepalive_requests 1000000000;
  keepalive_time 24h;
  open_file_cache ${keepsOpen ? "max=20000 inactive=1h" : "off"};
  proxy_temp_path ${home}/temporary;
  proxy_cache_path ${home}/cache levels=1:2 keys_zone=images:100m max_size=100g inactive=24h use_temp_path=off;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {${isSigned ? check : ""}
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache images;
      proxy_cache_key $uri;
      proxy_cache_valid 200 24h;
      proxy_cache_lock on;
    }
  }
}
`;
}

/** Varnish with a malloc store, as its package starts it, without a log reader. It cannot check signatures. */
export async function startVarnish({ folder, originPort }: ContenderOptions): Promise<Contender> {
  const home = join(folder, `varnish-${process.hrtime.bigint()}`);
  await mkdir(home, { recursive: true });
  const file = join(home, "bench.vcl");
  await writeFile(
    file,
    `vcl 4.1;
backend origin { .host = "127.0.0.1"; .port = "${originPort}"; }
sub vcl_backend_response { set beresp.ttl = 24h; }
`,
  );
  const port = await freePort();
  const places = ["-a", `127.0.0.1:${port}`, "-n", join(home, "work"), "-f", file];
  const child = spawnOn(SERVER_CORE, "varnishd", ["-F", "-j", "none", ...places, "-s", "malloc,4g"]);
  await answering(port, "Varnish");
  return { name: "Varnish", port, pid: child.pid ?? 0, target: (path) => path, stop: () => end(child) };
}

/** Node's http server alone, with the picture of one path: see bare.ts. */
export function startBareNode(path: string): Promise<Contender> {
  return startProgram("node:http, bare", "bare.ts", [path]);
}

/** The least that a stored miss costs on this runtime: see miss-floor.ts. */
export async function startMissFloor({ folder, originPort }: ContenderOptions): Promise<Contender> {
  await mkdir(folder, { recursive: true });
  return startProgram(MISS_FLOOR, "miss-floor.ts", [String(originPort), join(folder, "floor")]);
}

export const MISS_FLOOR = "Node alone, without checks";

async function startProgram(name: string, script: string, args: readonly string[]): Promise<Contender> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = spawnOn(SERVER_CORE, process.execPath, [...YOUNG_GENERATION, "--import", "tsx", file, ...args]);
  const port = Number(await firstLine(child));
  return { name, port, pid: child.pid ?? 0, target: (path) => path, stop: () => end(child) };
}

/** Resolves once the port answers anything; `name` is used in the error. */
export async function answering(port: number, name: string): Promise<void> {
  const ask = () =>
    get({ port, path: "/2000/ready" }).then(
      ({ status }) => status > 0,
      () => false,
    );
  await eventually(ask, `${name} does not answer`, 20_000);
}
