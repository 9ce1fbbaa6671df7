// The settings file as the admin API reads and changes it: without secrets, only on top of the version that the caller
// has read, and only without faults. It applies nothing: the watch of the file does.
import { setTimeout as delay } from "node:timers/promises";
import { createKeyLocks } from "../../async/key-locks.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { readDocument } from "../document.ts";
import { type Fault, SettingsFaults } from "../faults.ts";
import {
  MAX_FILE_BYTES,
  parseSettings,
  readSettingsText,
  readSmallFileSync,
  settingsNeedingRestart,
  settingsWarnings,
} from "../load.ts";
import type { Settings } from "../schema/schema.ts";
import { editText, refused, type SettingsEdit } from "./edit-text.ts";
import { checkNames } from "./file-rules.ts";
import { maskedText, maskedTree } from "./masking.ts";
import { readOnlyReason, replaceFile } from "./replace-file.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** As `huiyuan check` reports them, and which settings wait for a restart. */
export interface SettingsJudgement {
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  /** Settings that differ from those at the start of the server. */
  readonly needsRestart: readonly string[];
}

export interface SettingsState extends SettingsJudgement {
  readonly file: string;
  /** SHA-256 of the bytes, in hex; undefined if the file cannot be read. */
  readonly version: string | undefined;
  readonly isInForce: boolean;
  /** Why the server has refused the file; undefined if the last reload succeeded. */
  readonly refusal: string | undefined;
  /** Why edits are refused; undefined if the file can be written. */
  readonly readOnly: string | undefined;
  /** The tree of the file, without secrets; undefined if it cannot be parsed. */
  readonly settings: unknown;
}

export interface SettingsProposal extends SettingsJudgement {
  /** Unified lines without secrets. */
  readonly diff: readonly string[];
}

export interface AppliedSettings extends SettingsProposal {
  /** The version of the file now; undefined if `faults` prevented the change. */
  readonly version: string | undefined;
  readonly isInForce: boolean;
}

export interface SettingsFile {
  read(): Promise<SettingsState>;
  /**
   * Changes nothing. Throws request_invalid for edits that do not fit the file, with 403 for names that the admin API
   * may not give; precondition_failed if the file has another version.
   */
  propose(version: string, edits: readonly SettingsEdit[]): Promise<SettingsProposal>;
  /**
   * Writes the file unless there are faults, and waits until the server uses it. Throws as propose(); with 403 also if
   * the file is read-only.
   */
  apply(version: string, edits: readonly SettingsEdit[]): Promise<AppliedSettings>;
}

export interface SettingsFileOptions {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Settings at the start of the server. */
  readonly started: Settings;
  /** `version`: of the file that the server uses. `refusal`: of the last reload, if it failed. */
  readonly inForce: () => { readonly version: string; readonly refusal: string | undefined };
}

/** The watch needs less than a second on an idle machine. */
const IN_FORCE_MS = 3_000;
const POLL_MS = 25;

export function createSettingsFile({ file, env, started, inForce }: SettingsFileOptions): SettingsFile {
  const locks = createKeyLocks();

  function judge(text: string): SettingsJudgement {
    try {
      if (Buffer.byteLength(text) > MAX_FILE_BYTES)
        throw new SettingsFaults(file, [{ path: "", line: 1, column: 1, message: "the file would be above 1 MiB" }]);
      const settings = parseSettings(text, { env, readFile: readSmallFileSync, file });
      const needsRestart = settingsNeedingRestart(started, settings);
      return { faults: [], warnings: settingsWarnings(settings), needsRestart };
    } catch (error) {
      return { faults: faultsOf(error), warnings: [], needsRestart: [] };
    }
  }

  async function edited(version: string, edits: readonly SettingsEdit[]) {
    const current = await readSettingsText(file).catch((error: unknown) => {
      throw refused(faultsOf(error)[0]?.message ?? "");
    });
    if (current.version !== version) throw changed();
    const { tree, faults } = readDocument(current.text);
    if (faults.length > 0) throw refused(`the file is not valid YAML (line ${faults[0]?.line}); edit it by hand`);
    const result = editText(current.text, edits);
    checkNames(file, tree, readDocument(result.after).tree, edits);
    return { text: result.text, proposal: { ...judge(result.text), diff: unifiedDiff(result, maskedText) } };
  }

  async function isNowInForce(version: string): Promise<boolean> {
    const until = performance.now() + IN_FORCE_MS;
    while (inForce().version !== version && performance.now() < until) await delay(POLL_MS);
    return inForce().version === version;
  }

  const isVersion = async (version: string) =>
    (await readSettingsText(file).catch(() => undefined))?.version === version;

  return {
    async read() {
      const { version: usedVersion, refusal } = inForce();
      const readOnly = await readOnlyReason(file);
      try {
        const { text, version } = await readSettingsText(file);
        const settings = maskedTree(readDocument(text).tree);
        return { ...judge(text), file, version, isInForce: version === usedVersion, refusal, readOnly, settings };
      } catch (error) {
        const nothing = { version: undefined, isInForce: false, settings: undefined, warnings: [], needsRestart: [] };
        return { ...nothing, file, refusal, readOnly, faults: faultsOf(error) };
      }
    },
    propose: async (version, edits) => (await edited(version, edits)).proposal,
    async apply(version, edits) {
      const written = await locks.hold([file], async () => {
        const readOnly = await readOnlyReason(file);
        if (readOnly !== undefined) throw refused(readOnly, { answerStatus: 403 });
        const { text, proposal } = await edited(version, edits);
        if (proposal.faults.length > 0) return { ...proposal, version: undefined };
        if (!(await replaceFile(file, text, () => isVersion(version)))) throw changed();
        return { ...proposal, version: (await readSettingsText(file)).version };
      });
      const isInForce = written.version !== undefined && (await isNowInForce(written.version));
      return { ...written, isInForce };
    },
  };
}

function faultsOf(error: unknown): readonly Fault[] {
  if (error instanceof SettingsFaults) return error.faults;
  throw error;
}

function changed(): HuiyuanError {
  const message = "Cannot edit the settings: the file has changed since it was read; read it again";
  return new HuiyuanError("precondition_failed", message, { answerStatus: 409 });
}
