// Reads the config of a migration, an old config.ini or YAML with the same option names, and checks all of it before
// anything starts.
import { readFileSync } from "node:fs";
import { createFilters, type Filters } from "./filters.ts";
import { type RawOptions, readIni } from "./ini.ts";
import { readSource, type SourceOptions } from "./source-options.ts";
import { createValues, NOT_NEGATIVE, POSITIVE, type Values } from "./values.ts";
import { readYaml } from "./yaml.ts";

/** The section AppInfo: a bucket behind a REST API. */
export interface RestPlace {
  /** URL without a slash at its end. */
  readonly endpoint: string;
  readonly appid: string;
  readonly bucket: string;
  readonly secretId: string;
  readonly secretKey: string;
}

/** The section ToolConfig. */
export interface ToolOptions {
  /** The largest number of objects at once; undefined: the target decides. */
  readonly concurrency: number | undefined;
  /** Rows of the journal that are read at once. */
  readonly pageRows: number;
  /** Results wait this long for a common commit, milliseconds. */
  readonly commitMs: number;
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

const ORIGINAL_ENDPOINT = "http://web.image.myqcloud.com";
const MAX_FILE_BYTES = 1_048_576;
/** More rows in memory would bring nothing: a page is read in about a millisecond. */
const MAX_PAGE_ROWS = 1_000;
/** The old tool's interval lost up to three seconds of results. A commit of many costs as much as a commit of one. */
const MAX_COMMIT_SECONDS = 0.1;
const DEFAULT_TIMEOUT_SECONDS = 30;
const DEFAULT_RETRIES = 2;

export interface ConfigNeeds {
  /** True: the target is a store of a settings file, so AppInfo may be missing. */
  readonly isStore: boolean;
  /** Given by the command line: then the config names none, and may be missing. */
  readonly source?: SourceOptions | undefined;
}

/** Throws ConfigFaults with every fault. `file` undefined: no options. */
export function loadConfig(file: string | undefined, needs: ConfigNeeds): MigrationConfig {
  if (file === undefined) return checkConfig(new Map(), needs);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const found = error instanceof TypeError ? "it is not UTF-8 text" : (error as Error).message;
    throw new ConfigFaults([`Cannot read the config ${JSON.stringify(file)}: ${found}.`]);
  }
  if (text.length > MAX_FILE_BYTES) throw new ConfigFaults([`The config ${JSON.stringify(file)} is too large.`]);
  const { options, faults } = /\.ya?ml$/i.test(file) ? readYaml(text) : readIni(text);
  return checkConfig(options, needs, faults);
}

/** As loadConfig(). `before`: faults of the text. */
export function checkConfig(
  options: RawOptions,
  { isStore, source: given }: ConfigNeeds,
  before: readonly string[] = [],
): MigrationConfig {
  const asked = new Set<string>();
  const values = createValues({
    get: (name: string) => {
      asked.add(name);
      return options.get(name);
    },
  } as RawOptions);
  const source = given ?? readSource(values);
  const rest = readRestPlace(values, isStore);
  const tool = readTool(values);
  const filters = readFilters(values);
  const { faults } = values;
  if (before.length + faults.length > 0) throw new ConfigFaults([...before, ...faults]);
  const identity = Object.fromEntries([...options].filter(([name]) => !HAS_NO_EFFECT_ON_NAMES.test(name)).sort());
  const unknown = [...options.keys()].filter((name) => !asked.has(name) && !OTHER_SOURCES.test(name));
  return { source: source!, rest, tool, filters, identity, unknown };
}

/** Secrets, and options that change how objects are copied, but not which. */
const HAS_NO_EFFECT_ON_NAMES =
  /key$|secretid$|^concurrency$|^jobqueue\.|^buffer\.|^db\.|^limit\.|^timeout|^retries$|^error\.|^max\./;
/** A config may keep the sections of other kinds of source. */
const OTHER_SOURCES = /^(?:local|url|qiniu|oss|s3)\./;

/** The project and the bucket may be given for a store too; then they name the bucket. */
function readRestPlace(values: Values, isStore: boolean): RestPlace | undefined {
  const isGiven = values.text("appinfo.appid") !== undefined || values.text("appinfo.bucket") !== undefined;
  const endpoint = values.url("appinfo.endpoint") ?? ORIGINAL_ENDPOINT;
  if (isStore && !isGiven) return undefined;
  const [appid, bucket] = [values.required("appinfo.appid"), values.required("appinfo.bucket")];
  const key = isStore ? (name: string) => values.text(name) ?? "" : values.required;
  return { endpoint, appid, bucket, secretId: key("appinfo.secretID"), secretKey: key("appinfo.secretKey") };
}

function readTool(values: Values): ToolOptions {
  const { number } = values;
  const fraction = { words: "a number above 0 and at most 1", isRight: (value: number) => value > 0 && value <= 1 };
  const seconds = { words: "a number of seconds above 0, or inf", isRight: (value: number) => value > 0 };
  const bounded = {
    words: "a number of seconds above 0, at most 3600",
    isRight: (value: number) => value > 0 && value <= 3600,
  };
  number("jobqueue.capacity", POSITIVE);
  number("jobqueue.reload.threshold", fraction);
  const commit = Math.min(number("db.commit.interval", seconds) ?? MAX_COMMIT_SECONDS, MAX_COMMIT_SECONDS);
  return {
    concurrency: number("concurrency", {
      words: "a whole number from 1 to 1000",
      isRight: (value) => POSITIVE.isRight(value) && value <= 1_000,
    }),
    pageRows: Math.min(number("buffer.size", POSITIVE) ?? MAX_PAGE_ROWS, MAX_PAGE_ROWS),
    commitMs: commit * 1_000,
    timeoutMs: 1_000 * (number("timeout.seconds", bounded) ?? DEFAULT_TIMEOUT_SECONDS),
    retries: number("retries", NOT_NEGATIVE) ?? DEFAULT_RETRIES,
    bytesPerSecond: number("limit.bytes.per.second", NOT_NEGATIVE) ?? 0,
    requestsPerSecond: number("limit.requests.per.second", NOT_NEGATIVE) ?? 0,
    maxObjectBytes: number("max.object.bytes", POSITIVE),
  };
}

function readFilters({ text, faults }: Values): Filters {
  if (text("fileid.ignore.execute") !== undefined) {
    const instead = "use sub.pattern and sub.replace, fileid.ignore.if and fileid.ignore.unless";
    faults.push(`Option fileid.ignore.execute must be empty: code in a config is never run; ${instead}.`);
  }
  const options = {
    ignoreIf: text("fileid.ignore.if"),
    ignoreUnless: text("fileid.ignore.unless"),
    errorIgnoreIf: text("error.ignore.if"),
    subPattern: text("sub.pattern"),
    subReplace: text("sub.replace"),
  };
  return createFilters(options, faults);
}
