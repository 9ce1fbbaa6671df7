// Reads the settings file for a running server. Work on the text of a large file takes seconds, so it is done in a
// thread, and downloads go on. The settings leave the thread in slices.
import { dirname, resolve } from "node:path";
import { createPauses } from "../../async/pauses.ts";
import { createThread, type Thread } from "../../async/thread.ts";
import { readDocument, type SettingsDocument } from "../document.ts";
import { say } from "../fault-words.ts";
import { type Fault, SettingsFaults } from "../faults.ts";
import {
  checkSettings,
  deepFreeze,
  type RestartSettings,
  readSettingsText,
  settingsNeedingRestart,
  settingsWarnings,
  wholeFileFault,
} from "../load.ts";
import type { BucketSettings, DomainSettings, ProjectSettings, Settings } from "../schema/schema.ts";
import { hideSecrets, namedFiles } from "../secrets.ts";
import { MAX_FILE_BYTES, readSmallFileSync } from "../small-file.ts";
import { editText, refused, type SettingsEdit } from "./edit-text.ts";
import { checkNames } from "./file-rules.ts";
import { maskedText, maskedTree } from "./masking.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** As `huiyuan check` reports them, and which settings wait for a restart. */
export interface SettingsJudgement {
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  /** Settings that differ from those at the start of the server. */
  readonly needsRestart: readonly string[];
}

export interface SettingsProposal extends SettingsJudgement {
  /** Unified lines without secrets. */
  readonly diff: readonly string[];
}

/** `env`: the variables that the text may name. */
interface TextPlace {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Arguments and results survive a structured clone. */
export type TextJobs = ReturnType<typeof createTextJobs>;

/**
 * An instance remembers the last text, because a changed file is read several times. `started`: the settings at the
 * start of the server.
 */
export function createTextJobs() {
  let known: { readonly text: string; readonly document: SettingsDocument } | undefined;

  function documentOf(text: string): SettingsDocument {
    if (known?.text !== text) known = { text, document: readDocument(text) };
    return known.document;
  }

  function check<Result>(text: string, { file, env }: TextPlace, use: (settings: Settings) => Result) {
    try {
      if (Buffer.byteLength(text) > MAX_FILE_BYTES) throw wholeFileFault(file, say("fileWouldBeTooLarge"));
      return use(checkSettings(documentOf(text), { env, readFile: readSmallFileSync, file }));
    } catch (error) {
      if (error instanceof SettingsFaults) return { faults: error.faults };
      throw error;
    }
  }

  function judge(text: string, place: TextPlace, started: RestartSettings): SettingsJudgement {
    const found = check(text, place, (settings) => {
      const needsRestart = settingsNeedingRestart(started, settings);
      return { faults: [], warnings: settingsWarnings(settings), needsRestart };
    });
    return { warnings: [], needsRestart: [], ...found };
  }

  return {
    /** Absolute paths of the files that the text names. */
    names: (text: string, { file }: TextPlace) => namedFiles(documentOf(text).tree, dirname(resolve(file))),
    /** The settings, for fromSlices(). */
    slices: (text: string, place: TextPlace) => check(text, place, toSlices),
    /** JSON: the judgement, and the tree of the file without secrets as `settings`. */
    state: (text: string, place: TextPlace, started: RestartSettings) =>
      JSON.stringify({ ...judge(text, place, started), settings: maskedTree(documentOf(text).tree) }),
    /** The projects with their key pairs alone, without secrets. The text may have faults. */
    keys(text: string): readonly { readonly appid: string; readonly keys: readonly Record<string, unknown>[] }[] {
      const list = (value: unknown) => (Array.isArray(value) ? value : []).map((item) => Object(item));
      const projects = list(Object(documentOf(text).tree).projects).map(({ appid, keys }) => ({ appid, keys }));
      const shown = Object(maskedTree({ projects })).projects;
      return list(shown).map(({ appid, keys }) => ({ appid: String(appid), keys: list(keys) }));
    },
    /** The text after edits, and what they change. Throws request_invalid. */
    edit(text: string, place: TextPlace, edits: readonly SettingsEdit[], started: RestartSettings) {
      const { document, tree, faults } = documentOf(text);
      if (faults.length > 0) throw refused(`the file is not valid YAML (line ${faults[0]?.line}); edit it by hand`);
      const result = editText(text, edits, document);
      known = { text: result.text, document: result.documents.after };
      checkNames(place.file, tree, known.document.tree, edits);
      const proposal: SettingsProposal = {
        ...judge(result.text, place, started),
        diff: unifiedDiff(result, maskedText),
      };
      return { text: result.text, proposal };
    },
  };
}

/** Projects come before their buckets, and buckets before their domains. */
type Part =
  | { readonly project: ProjectSettings }
  | { readonly bucket: BucketSettings }
  | { readonly domain: DomainSettings };

const PARTS_IN_A_SLICE = 100;

/** `settings`: with secrets that JSON.stringify() shows. The first text has no projects. */
function toSlices({ projects, ...rest }: Settings): readonly string[] {
  const parts = projects.flatMap((project) => [
    { project: { ...project, buckets: [] } },
    ...project.buckets.flatMap((bucket) => [
      { bucket: { ...bucket, domains: [] } },
      ...bucket.domains.map((domain) => ({ domain })),
    ]),
  ]) satisfies Part[];
  const slices = [JSON.stringify(rest)];
  for (let at = 0; at < parts.length; at += PARTS_IN_A_SLICE)
    slices.push(JSON.stringify(parts.slice(at, at + PARTS_IN_A_SLICE)));
  return slices;
}

/** The settings as parseSettings() returns them. */
async function fromSlices([first = "", ...slices]: readonly string[]): Promise<Settings> {
  const pause = createPauses();
  const projects: (Omit<ProjectSettings, "buckets"> & { readonly buckets: BucketSettings[] })[] = [];
  const settings = { ...JSON.parse(first), projects } as Settings;
  hideSecrets(settings);
  let domains: DomainSettings[] = [];
  for (const slice of slices) {
    const parts = JSON.parse(slice) as Part[];
    hideSecrets({ projects: parts.map(asProject) });
    for (const part of parts) {
      if ("project" in part) projects.push(Object.assign(part.project, { buckets: [] }));
      else if ("domain" in part) domains.push(deepFreeze(part.domain));
      else {
        domains = [];
        projects.at(-1)?.buckets.push(Object.assign(part.bucket, { domains }));
      }
    }
    await pause();
  }
  for (const bucket of projects.flatMap(({ buckets }) => buckets)) {
    deepFreeze(bucket);
    await pause();
  }
  return deepFreeze(settings);
}

/** A project that has this part alone, at its place. */
function asProject(part: Part): object {
  if ("project" in part) return part.project;
  return { buckets: ["bucket" in part ? part.bucket : { domains: [part.domain] }] };
}

export interface SettingsReader {
  readonly place: TextPlace;
  readonly run: Thread<TextJobs>["run"];
  /** As loadSettings(), with the version of the file. */
  load(): Promise<{ readonly settings: Settings; readonly version: string }>;
  /** Absolute paths of the files that a text of the settings names. */
  names(text: string): Promise<readonly string[]>;
}

/** Smaller texts are read before a thread could start. Characters. */
const LARGE = 16_384;

export function createSettingsReader({ file, env }: TextPlace): SettingsReader {
  const place: TextPlace = { file, env: { ...env } };
  const here = createTextJobs();
  const thread = createThread<TextJobs>({ file: "text-thread.js", from: import.meta.url });
  const run: SettingsReader["run"] = async (name, ...args) => {
    if (args[0].length >= LARGE) return thread.run(name, ...args);
    const job = here[name] as (...given: typeof args) => ReturnType<TextJobs[typeof name]>;
    return job(...args);
  };
  return {
    place,
    run,
    async load() {
      const { text, version } = await readSettingsText(file);
      const read = await run("slices", text, place);
      if ("faults" in read) throw new SettingsFaults(file, read.faults);
      return { settings: await fromSlices(read), version };
    },
    names: (text) => run("names", text, place),
  };
}
