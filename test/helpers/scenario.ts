// The four scenarios as an operator meets them: the very settings of config/, checked as they are, then moved to servers of
// a test by replacing where things are and nothing else. Guides may hold further YAML, which is taken from them too.
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

/** The appid of all four. */
const SCENARIO_APPID = "10001234";

function scenarioFile(number: ScenarioNumber): string {
  return fileURLToPath(new URL(`../../config/scenario-${number}.yaml`, import.meta.url));
}

/** Texts of the file → what stands in their place: URLs, names of buckets, and what a guide says one may write instead. */
export type Replacements = Readonly<Record<string, string>>;

/** The settings of config/scenario-N.yaml, moved. Throws when a text to replace is not in them. */
export async function scenarioSettings(number: ScenarioNumber, replacements: Replacements): Promise<object> {
  return moved(parse(await readFile(scenarioFile(number), "utf8")), replacements) as object;
}

/** The n-th block of YAML in docs/scenario-N.md, from 0, moved. */
export async function guideYaml(number: ScenarioNumber, index: number, replacements: Replacements): Promise<unknown> {
  const text = await readFile(new URL(`../../docs/scenario-${number}.md`, import.meta.url), "utf8");
  const block = [...text.matchAll(/^( *)```yaml\n(.*?)^\1```$/gms)][index]?.[2];
  if (block === undefined) throw new Error(`docs/scenario-${number}.md has no YAML block ${index}`);
  return moved(parse(block), replacements);
}

/** Whatever had its URL replaced may now lie on loopback. */
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
  /** The running server; another one after restart(). */
  readonly program: Program;
  get(host: string, path: string, more?: Partial<GetOptions>): Promise<GetResult>;
  /** A command of the built program, with this settings file. */
  command(...args: readonly string[]): Promise<Ended>;
  /** The upload of a guide: a token from `huiyuan sign`, then one call of the REST API at no download domain. */
  upload(bucket: string, fileid: string, image: Buffer): Promise<ApiResult>;
  /** Likewise the delete. */
  delete(bucket: string, fileid: string): Promise<ApiResult>;
  /** Keys of a bucket's objects, sorted. */
  keys(bucket: string): readonly string[];
  /** Resolves when the bucket has exactly these keys, given sorted. */
  holds(bucket: string, keys: readonly string[]): Promise<void>;
  /** kill -9 and once more. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A server with these settings; ports are free ones. */
export async function startScenario(settings: object, options: StartOptions = {}): Promise<ScenarioRun> {
  const { server, ...rest } = settings as { readonly server?: object };
  const installation = await install({ ...rest, server: { ...server, host: "127.0.0.1", port: 0, adminPort: 0 } });
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
