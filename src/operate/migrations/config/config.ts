// Reads the config of a migration, an old config.ini or YAML with the same option names, and checks all of it.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { SigningContext } from "../../../client/url.ts";
import { createFilters, type Filters } from "./filters.ts";
import { createValues, type RawOptions, readIni, readYaml, type Values } from "./options.ts";
import { readSource, type SourceOptions } from "./source-options.ts";

/** The section AppInfo: a bucket behind a REST API. */
export interface RestPlace extends Omit<SigningContext, "now"> {
  /** URL without a slash at its end. Empty: only the bucket of another target is named. */
  readonly endpoint: string;
}

/** The section ToolConfig. */
export interface ToolOptions {
  /** The largest number of objects at once; undefined: the target decides. */
  readonly concurrency: number | undefined;
  /** A source or target without progress for this time fails. Milliseconds. */
  readonly timeoutMs: number;
  /** Attempts after the first, within one run. */
  readonly retries: number;
  /** Averages; 0: no limit. */
  readonly bytesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly maxObjectBytes: number | undefined;
}

export interface MigrationConfig {
  readonly source: SourceOptions;
  /** Undefined if the file has no AppInfo and needs none. */
  readonly rest: RestPlace | undefined;
  readonly tool: ToolOptions;
  readonly filters: Filters;
  /** Options that decide which objects are copied, for the comparison with those of an interrupted run. No secrets. */
  readonly identity: Readonly<Record<string, string>>;
  /** Names of options that are not known and have no effect. */
  readonly unknown: readonly string[];
}

/** Every fault of a config, a sentence each. */
export class ConfigFaults extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join(" "));
    this.name = "ConfigFaults";
    this.faults = faults;
  }
}

const ENDPOINT = "appinfo.endpoint";
const MAX_FILE_BYTES = 1_048_576;
const TEMPLATE = fileURLToPath(new URL("../../../../config/migrate/config.ini.template", import.meta.url));
const NEXT = `Name yours with --config FILE, or begin with the template: cp ${TEMPLATE} FILE`;
/** 32 GiB. At the slowest rate that the engine and the limit below allow, a longer time would overflow a timer. */
const MAX_OBJECT_BYTES = 34_359_738_368;
const MIN_BYTES_PER_SECOND = 16_384;
const DEFAULT_TIMEOUT_SECONDS = 30;
const DEFAULT_RETRIES = 2;

export interface ConfigNeeds {
  /** True: the target is a store or a server that flags name, so AppInfo may be missing. */
  readonly isStore: boolean;
  /** Given by the command line: then the config names none, and may be missing. */
  readonly source?: SourceOptions | undefined;
}

/** Throws ConfigFaults with every fault. `file` undefined: no options. */
export function loadConfig(file: string | undefined, needs: ConfigNeeds): MigrationConfig {
  if (file === undefined) return checkConfig(new Map(), needs);
  const text = readText(resolve(file));
  const { options, faults } = /\.ya?ml$/i.test(file) ? readYaml(text) : readIni(text);
  return checkConfig(options, needs, faults);
}

function readText(file: string): string {
  const name = `the config ${JSON.stringify(file)}`;
  try {
    const bytes = readFileSync(file);
    if (bytes.byteLength > MAX_FILE_BYTES)
      throw new ConfigFaults([`Cannot read ${name}: it has more than ${MAX_FILE_BYTES} bytes.`]);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof ConfigFaults) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new ConfigFaults([`There is no config ${JSON.stringify(file)}. ${NEXT}`]);
    const found = error instanceof TypeError ? "it is not UTF-8 text" : code;
    throw new ConfigFaults([`Cannot read ${name}: ${found}.`]);
  }
}

/** As loadConfig(). `before`: faults of the text. */
export function checkConfig(
  options: RawOptions,
  { isStore, source: given }: ConfigNeeds,
  before: readonly string[] = [],
): MigrationConfig {
  // A text that cannot be read has all of its options, so none is missing.
  if (options.size === 0 && before.length > 0) throw new ConfigFaults(before);
  const values = createValues(options);
  const source = given ?? readSource(values);
  const rest = readRestPlace(values, isStore);
  const tool = readTool(values);
  const filters = createFilters(values.text, values.faults);
  const faults = [...before, ...values.faults];
  if (faults.length > 0) throw new ConfigFaults(faults);
  const decides = ([name]: readonly [string, string]) => values.known.has(name) && !HAS_NO_EFFECT_ON_NAMES.test(name);
  const identity = Object.fromEntries([...options].filter(decides).sort());
  const unknown = [...options.keys()].filter((name) => !values.known.has(name) && !OTHER_SOURCES.test(name));
  return { source: source!, rest, tool, filters, identity, unknown };
}

/** Secrets, and options that change how objects are copied, but not which. */
const HAS_NO_EFFECT_ON_NAMES =
  /key$|secretid$|\.referer$|\.isprivate$|^concurrency$|^jobqueue\.|^buffer\.|^db\.|^limit\.|^timeout|^retries$|^error\.|^max\./;
/** A config may keep the sections of other kinds of source. */
const OTHER_SOURCES = /^(?:local|url|qiniu|oss|s3)\./;

/** The project and the bucket may be given for a store too; then they name the bucket. */
function readRestPlace(values: Values, isStore: boolean): RestPlace | undefined {
  const endpoint = values.url(ENDPOINT) ?? "";
  const names = ["appinfo.appid", "appinfo.bucket", "appinfo.secretID", "appinfo.secretKey", ENDPOINT] as const;
  const [appid = "", bucket = "", secretId = "", secretKey = ""] = names.map(values.text);
  if (isStore && appid === "" && bucket === "") return undefined;
  const missing = names.slice(0, isStore ? 2 : 5).filter((name) => values.text(name) === undefined);
  const instead = isStore ? "" : ", unless --settings FILE or --admin URL names the target";
  const next =
    missing.at(-1) === ENDPOINT
      ? ` Set ${ENDPOINT} to the URL of your REST API, such as http://127.0.0.1:8080; none is assumed.`
      : "";
  if (missing.length > 0) values.faults.push(`Required: ${missing.join(", ")}${instead}.${next}`);
  return { endpoint, appid, bucket, secretId, secretKey };
}

function readTool({ whole, positive, faults }: Values): ToolOptions {
  // These have no meaning here; a fault in them is reported all the same.
  for (const name of ["jobqueue.capacity", "buffer.size"]) whole(name, 1);
  positive("jobqueue.reload.threshold", 1);
  positive("db.commit.interval");
  const bytesPerSecond = whole("limit.bytes.per.second", 0) ?? 0;
  if (bytesPerSecond > 0 && bytesPerSecond < MIN_BYTES_PER_SECOND)
    faults.push(`Option limit.bytes.per.second must be 0 or at least ${MIN_BYTES_PER_SECOND}.`);
  return {
    concurrency: whole("concurrency", 1, 1_000),
    timeoutMs: 1_000 * (positive("timeout.seconds", 3_600) ?? DEFAULT_TIMEOUT_SECONDS),
    retries: whole("retries", 0) ?? DEFAULT_RETRIES,
    bytesPerSecond,
    requestsPerSecond: whole("limit.requests.per.second", 0) ?? 0,
    maxObjectBytes: whole("max.object.bytes", 1, MAX_OBJECT_BYTES),
  };
}
