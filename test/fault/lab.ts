// The fault lab: the whole built program between a scripted origin, fault proxies and a DNS server of its own, and
// clients that report their responses. One lab runs all rows at once, each with its own key. It judges nothing: rows/
// holds the expectations.

import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg, noisyPng } from "../helpers/images.ts";
import { type NameServer, type NameTable, startNameServer } from "../helpers/name-server.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import {
  head,
  response,
  type ScriptedConnection,
  type ScriptedOrigin,
  type ScriptedRequest,
  type Step,
  startScriptedOrigin,
  take,
} from "../helpers/scripted-origin.ts";
import { freePort } from "../helpers/services.ts";
import { type LabPlan, labSettings } from "./lab-settings.ts";
import { type FaultProxy, type ProxyFault, startFaultProxy } from "./proxy.ts";

/**
 * A step of an origin's response. `CLIENT HAS HEAD` waits until a client of this target has received a response head.
 */
export type LabStep = Step | "CLIENT HAS HEAD";

/** Steps, or a function if steps are not enough. */
export type LabAnswer =
  | readonly LabStep[]
  | ((request: ScriptedRequest, connection: ScriptedConnection) => Promise<void>);

/** An origin's responses for a target: the same each time, or in turn (the last one repeats). */
export type LabScript = LabAnswer | { readonly inTurn: readonly LabAnswer[] };

export interface LabOptions {
  /** Domain → the fault of the proxy before its origin; these mirrors have short time-outs. */
  readonly proxies: Readonly<Record<string, ProxyFault>>;
  /** The same with time-outs long enough for a busy machine; only the silence (idle) deadline is short. */
  readonly patientProxies?: Readonly<Record<string, ProxyFault>>;
  /** Domains with one connection to the origin each. */
  readonly singles?: readonly string[];
  /** Domain → the DNS responses for its origin's name. The origin's port is `inside`'s unless `isHome`. */
  readonly names: Readonly<Record<string, { readonly answers: NameTable[string]; readonly isHome?: boolean }>>;
}

export interface Lab {
  /** About 100 kB of JPEG, and another picture of different length. */
  readonly picture: Buffer;
  readonly otherPicture: Buffer;
  /** Arrives in one read with its head, so that it is judged before any byte is sent. */
  readonly smallPicture: Buffer;
  readonly png: Buffer;
  readonly program: Program;
  readonly origin: ScriptedOrigin;
  readonly secureOrigin: ScriptedOrigin;
  /** A server on every address of this machine that no request may ever reach. */
  readonly inside: ScriptedOrigin;
  readonly names: NameServer;
  readonly installation: Installation;
  /** Writes a settings file in which the rotated project's first key pair is disabled. */
  disableFirstKey(): Promise<void>;
  /** Sets the origin's responses for `target`; a target without a script gets the picture. */
  script(target: string, script: LabScript): void;
  /** Number of requests for `target` so far. */
  asked(target: string): number;
  /** Sends a request to the download port. `host`: default a domain whose origin has long time-outs. */
  get(options: Omit<GetOptions, "port">): Promise<GetResult>;
  /** Registers a path of PATIENT that must be served with these bytes after a crash, without an origin. */
  keep(path: string, bytes: Buffer): void;
  readonly kept: ReadonlyMap<string, Buffer>;
  /** Registers a URL whose one-time token must stay spent after a crash. */
  spend(path: string, host: string): void;
  readonly spent: readonly { readonly path: string; readonly host: string }[];
  /** Kills the program (SIGKILL) and starts it again, with every origin closed. */
  restartAlone(): Promise<void>;
  close(): Promise<void>;
}

export const PATIENT = "patient.test";
export const SHORT = "short.test";
export const SINGLE = "single.test";
export const OTHER_SINGLE = "other-single.test";
export const SECURE = "secure.test";
export const REFUSED = "refused.test";

export async function startLab(options: LabOptions): Promise<Lab> {
  const picture = await noisyJpeg(640, 480);
  const otherPicture = await noisyJpeg(600, 480);
  const smallPicture = await noisyJpeg(160, 120);
  const png = await noisyPng(40, 30);
  const scripts = new Map<string, LabScript>();
  const turns = new Map<string, number>();
  const heads = new Map<string, Signal>();
  const headOf = (target: string) => {
    const known = heads.get(target) ?? createSignal();
    heads.set(target, known);
    return known;
  };

  const handle = async (request: ScriptedRequest, connection: ScriptedConnection) => {
    const { target } = request;
    const script = scripts.get(target) ?? [response(picture)];
    const turn = turns.get(target) ?? 0;
    turns.set(target, turn + 1);
    const answer = "inTurn" in script ? (script.inTurn[turn] ?? script.inTurn.at(-1) ?? []) : script;
    if (typeof answer === "function") return answer(request, connection);
    for (const step of answer) {
      if (step === "CLIENT HAS HEAD") await headOf(target).given;
      else await take(step, connection);
    }
  };

  const tls = await testCertificate();
  const origin = await startScriptedOrigin(handle);
  const secureOrigin = await startScriptedOrigin(handle, { tls });
  const inside = await startInside(picture);
  const proxies: FaultProxy[] = [];
  const isSilent = ({ stop }: ProxyFault) => stop?.by === "blackhole";
  const proxied = async (faults: Readonly<Record<string, ProxyFault>>, isWanted = (_: ProxyFault) => true) => {
    const urls: Record<string, string> = {};
    for (const [domain, fault] of Object.entries(faults)) {
      if (!isWanted(fault)) continue;
      const proxy = await startFaultProxy(origin.port, fault);
      proxies.push(proxy);
      urls[domain] = url(proxy.port);
    }
    return urls;
  };
  const table = Object.entries(options.names).map(([domain, { answers }]) => [nameOf(domain), answers] as const);
  const names = await startNameServer({
    localhost: ["127.0.0.1", "::1"],
    "origin.test": ["127.0.0.1"],
    ...Object.fromEntries(table),
  });

  const url = (port: number) => `http://127.0.0.1:${port}`;
  const plan: LabPlan = {
    patient: { [PATIENT]: origin.url, ...(await proxied(options.patientProxies ?? {}, (fault) => !isSilent(fault))) },
    silent: await proxied(options.patientProxies ?? {}, isSilent),
    short: {
      [SHORT]: origin.url,
      [REFUSED]: url(await freePort()),
      ...(await proxied(options.proxies)),
    },
    single: Object.fromEntries(
      [SINGLE, OTHER_SINGLE, ...(options.singles ?? [])].map((domain) => [domain, origin.url]),
    ),
    secure: { [SECURE]: `https://origin.test:${secureOrigin.port}` },
    named: Object.entries(options.names).map(([domain, { isHome = false }]) => ({
      domain,
      url: `http://${nameOf(domain)}:${(isHome ? origin : inside).port}`,
      isHome,
    })),
  };
  const installation = await install(labSettings(plan));
  const env = {
    NODE_OPTIONS: `--import=${new URL("answer-names.mjs", import.meta.url).href}`,
    NODE_EXTRA_CA_CERTS: fileURLToPath(new URL("../fixtures/tls/cert.pem", import.meta.url)),
    LAB_NAME_SERVER: names.address,
  };
  let program = await installation.start({ env });
  const origins = [origin, secureOrigin, inside];
  const kept = new Map<string, Buffer>();
  const spent: { readonly path: string; readonly host: string }[] = [];

  return {
    picture,
    otherPicture,
    smallPicture,
    png,
    origin,
    secureOrigin,
    inside,
    names,
    installation,
    get program() {
      return program;
    },
    disableFirstKey: () => installation.write(labSettings(plan, [false, true])),
    script(target, script) {
      scripts.set(target, script);
      turns.set(target, 0);
    },
    asked: (target) =>
      [origin, secureOrigin].flatMap(({ requests }) => requests).filter((one) => one.target === target).length,
    get: (options) =>
      get({ host: PATIENT, ...options, port: program.downloadPort, onHead: () => headOf(options.path).give() }),
    keep: (path, bytes) => kept.set(path, bytes),
    kept,
    spend: (path, host) => spent.push({ path, host }),
    spent,
    async restartAlone() {
      await program.kill();
      await Promise.all(origins.map((each) => each.close()));
      program = await installation.start({ env });
    },
    async close() {
      await program.stop();
      await Promise.all([...proxies, ...origins, names].map((each) => each.close().catch(ignoreClosed)));
      await installation.remove();
    },
  };
}

/** Listens on every address of this machine; on both families if there are two. */
export async function startInside(picture: Buffer): Promise<ScriptedOrigin> {
  const table = { "*": [response(picture)] };
  const hasIPv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ family }) => family === "IPv6"));
  return startScriptedOrigin(table, { host: hasIPv6 ? "::" : "0.0.0.0" });
}

/** `restartAlone` may have closed the origins before. */
function ignoreClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== "ERR_SERVER_NOT_RUNNING") throw error;
}

/** The host name in the origin URL of a domain in `LabOptions.names`. */
function nameOf(domain: string): string {
  return `origin.${domain}`;
}

interface Signal {
  readonly given: Promise<void>;
  give(): void;
}

function createSignal(): Signal {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

async function testCertificate(): Promise<{ key: string; cert: string }> {
  const read = (name: string) => readFile(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
  return { key: await read("key"), cert: await read("cert") };
}

/** Describes a client's response in the words of docs/internals/faults.md. `wanted`: the bytes of a whole response. */
export function tell(seen: GetResult, wanted: Buffer): string {
  const { status, headers, body, isWhole } = seen;
  if (status >= 300) {
    const errNo = headers["x-errno"];
    const wait = headers["retry-after"] === undefined ? "" : `, Retry-After ${headers["retry-after"]}`;
    return errNo === undefined ? `${status}` : `${status}, ${errNo}${wait}`;
  }
  const isRight = isWhole ? body.equals(wanted) : wanted.subarray(0, body.length).equals(body);
  const warning = headers["x-errno"] === undefined ? "" : `, ${headers["x-errno"]}, ${headers["cache-control"]}`;
  return `${status} ${isWhole ? "whole" : "broken"}${isRight ? "" : ", WRONG BYTES"}${warning}`;
}

/** Repeats the request until no cached failure is returned. */
export async function getFresh(lab: Lab, options: Omit<GetOptions, "port">): Promise<GetResult> {
  let seen = await lab.get(options);
  await eventually(async () => {
    // A broken response of the previous fill, which ends a moment after its client, is not fresh.
    const isOld = !seen.isWhole && String(seen.headers["cache-status"]).includes("collapsed");
    if (seen.status < 400 && !isOld) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
    seen = await lab.get(options);
    return false;
  }, `${options.path} is served once the origin is well`);
  return seen;
}

/**
 * Resolves with a response from the bucket, or from memory, which holds only stored objects. It therefore survives kill
 * -9.
 */
export async function getStored(lab: Lab, options: Omit<GetOptions, "port">): Promise<GetResult> {
  let seen = await lab.get(options);
  await eventually(async () => {
    if (/; detail=(memory|bucket)/.test(String(seen.headers["cache-status"]))) return true;
    seen = await lab.get(options);
    return false;
  }, `${options.path} is in the bucket`);
  return seen;
}

/** The first half of a picture. */
export function halfOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length / 2);
}

/** A response head that declares `length` bytes of JPEG. */
export function lengthHead(length: number): Buffer {
  return head("200 OK", [
    ["Content-Type", "image/jpeg"],
    ["Content-Length", String(length)],
  ]);
}
