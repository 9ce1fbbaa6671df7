// The work on the text of a settings file that takes seconds if the file is large; settings-reader.ts calls it. An
// instance remembers the last text, because a changed file is read several times.
import { dirname, resolve } from "node:path";
import { readDocument, type SettingsDocument } from "../document.ts";
import { say } from "../fault-words.ts";
import { type Fault, SettingsFaults } from "../faults.ts";
import {
  checkSettings,
  MAX_FILE_BYTES,
  type RestartSettings,
  readSmallFileSync,
  settingsNeedingRestart,
  settingsWarnings,
  wholeFileFault,
} from "../load.ts";
import type { Settings } from "../schema/schema.ts";
import { namedFiles } from "../secrets.ts";
import { editText, refused, type SettingsEdit } from "./edit-text.ts";
import { checkNames } from "./file-rules.ts";
import { maskedText, maskedTree } from "./masking.ts";
import { toSlices } from "./slices.ts";
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
export interface TextPlace {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Arguments and results survive a structured clone. */
export type TextJobs = ReturnType<typeof createTextJobs>;

/** `started`: the settings at the start of the server. */
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
