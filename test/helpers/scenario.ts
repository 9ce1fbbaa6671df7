// Runs the four scenarios with the settings of config/, checked unmodified. Then only addresses and names are replaced,
// so that they point to a test's servers. Further YAML of the guides is used in the same way.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { type GetOptions, type GetResult, get } from "./get.ts";
import {
  type Ended,
  eventually,
  huiyuan,
  type Installation,
  install,
  type Program,
  type StartOptions,
} from "./program.ts";
import { type ApiResult, type CallOptions, callApi, fileForm } from "./rest-api.ts";
import { keysIn } from "./stored-keys.ts";

export type ScenarioNumber = 1 | 2 | 3 | 4;

/** The appid of all four scenarios. */
const SCENARIO_APPID = "10001234";

function scenarioFile(number: ScenarioNumber): string {
  return fileURLToPath(new URL(`../../config/scenario-${number}.yaml`, import.meta.url));
}

/** Text in the file → its replacement: URLs, bucket names, and values for which a guide gives alternatives. */
export type Replacements = Readonly<Record<string, string>>;

/** The settings of config/scenario-N.yaml with replacements. Throws if a text to replace is missing. */
export async function scenarioSettings(number: ScenarioNumber, replacements: Replacements): Promise<object> {
  return moved(parse(await readFile(scenarioFile(number), "utf8")), replacements) as object;
}

/** The n-th YAML block of docs/start/scenario-N.md, from 0, with replacements. */
export async function guideYaml(number: ScenarioNumber, index: number, replacements: Replacements): Promise<unknown> {
  const text = await readFile(new URL(`../../docs/start/scenario-${number}.md`, import.meta.url), "utf8");
  const block = [...text.matchAll(/^( *)```yaml[^\n]*\n(.*?)^\1```$/gms)][index]?.[2];
  if (block === undefined) throw new Error(`docs/start/scenario-${number}.md has no YAML block ${index}`);
  return moved(parse(block), replacements);
}

/** A URL that was replaced may now be on loopback, so `allowPrivate` is set. */
function moved(tree: unknown, replacements: Replacements): unknown {
  const left = new Set(Object.keys(replacements));
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    let isMoved = false;
    const entries = Object.entries(value).map(([key, inner]) => {
      const replacement = typeof inner === "string" ? replacements[inner] : undefined;
      if (replacement === undefined) return [key, walk(inner)];
      left.delete(String(inner));
      isMoved ||= /^https?:/.test(replacement);
      return [key, replacement];
    });
    return Object.fromEntries(isMoved ? [...entries, ["allowPrivate", true]] : entries);
  };
  const result = walk(tree);
  if (left.size > 0) throw new Error(`there is no ${[...left].join(", ")} to replace`);
  return result;
}

export interface ScenarioRun {
  readonly installation: Installation;
  /** The running server; restart() replaces it. */
  readonly program: Program;
  get(host: string, path: string, more?: Partial<GetOptions>): Promise<GetResult>;
  /** Runs a command of the built program with this settings file. */
  command(...args: readonly string[]): Promise<Ended>;
  /**
   * Uploads as the guides do: gets a token from `huiyuan sign`, then makes one REST API call on a host that is no
   * download domain.
   */
  upload(bucket: string, fileid: string, image: Buffer): Promise<ApiResult>;
  /** Deletes in the same way. */
  delete(bucket: string, fileid: string): Promise<ApiResult>;
  /** Keys of a bucket's objects, sorted. */
  keys(bucket: string): readonly string[];
  /** Resolves once the bucket has exactly these keys (given sorted). */
  holds(bucket: string, keys: readonly string[]): Promise<void>;
  /** Kills the server (SIGKILL) and starts it again. */
  restart(): Promise<void>;
  /** Overwrites the settings file, which the running server follows. */
  reconfigure(settings: object): Promise<void>;
  close(): Promise<void>;
}

function onFreePorts(settings: object): object {
  const { server, ...rest } = settings as { readonly server?: object };
  return { ...rest, server: { ...server, host: "127.0.0.1", port: 0, adminPort: 0 } };
}

/** Starts a server with these settings on free ports. */
export async function startScenario(settings: object, options: StartOptions = {}): Promise<ScenarioRun> {
  const installation = await install(onFreePorts(settings));
  let program = await installation.start(options);
  const { env = {} } = options;
  const command = (...args: readonly string[]) => huiyuan([...args, "--config", installation.file], { env });
  const call = async (
    operation: string,
    {
      bucket,
      fileid,
      suffix = "",
      ...rest
    }: { bucket: string; fileid: string; suffix?: string } & Partial<CallOptions>,
  ) => {
    const { code, out, err } = await command("sign", operation, fileid, "--bucket", bucket);
    if (code !== 0) throw new Error(`sign ${operation} failed: ${err}`);
    const target = `/photos/v2/${SCENARIO_APPID}/${bucket}/0/${encodeURIComponent(fileid)}${suffix}`;
    return callApi({ port: program.downloadPort, target, sign: out.trim(), host: "localhost", ...rest });
  };
  const keys = (bucket: string) => keysIn(installation.data, `${SCENARIO_APPID}/${bucket}`);
  return {
    installation,
    get program() {
      return program;
    },
    command,
    upload: (bucket, fileid, image) => call("upload", { bucket, fileid, form: fileForm(image) }),
    delete: (bucket, fileid) => call("delete", { bucket, fileid, suffix: "/del", method: "POST" }),
    get: (host, path, more = {}) => get({ port: program.downloadPort, host, path, ...more }),
    keys,
    holds: (bucket, wanted) =>
      eventually(() => JSON.stringify(keys(bucket)) === JSON.stringify(wanted), `${bucket} holds ${wanted.join(", ")}`),
    reconfigure: (next) => installation.write(onFreePorts(next)),
    async restart() {
      await program.kill();
      program = await installation.start(options);
    },
    async close() {
      await program.stop();
      await installation.remove();
    },
  };
}
