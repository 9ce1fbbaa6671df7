// The settings file as the admin API reads and changes it: without secrets, only on top of the version that the caller
// has read, and only without faults. It applies nothing: the watch of the file does.
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createKeyLocks } from "../../async/key-locks.ts";
import { errorCodeOf, storeFailure } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { syncDirectory } from "../../core/files.ts";
import { type Fault, SettingsFaults } from "../faults.ts";
import { type RestartSettings, readSettingsText } from "../load.ts";
import type { Settings } from "../schema/schema.ts";
import { refused, type SettingsEdit } from "./edit-text.ts";
import type { SettingsProposal, SettingsReader, TextJobs } from "./text-jobs.ts";

interface SettingsState {
  readonly file: string;
  /** SHA-256 of the bytes, in hex; undefined if the file cannot be read. */
  readonly version: string | undefined;
  readonly isInForce: boolean;
  /** Why the server has refused the file; undefined if the last reload succeeded. */
  readonly refusal: string | undefined;
  /** Why edits are refused; undefined if the file can be written. */
  readonly readOnly: string | undefined;
  /** JSON: a SettingsJudgement, and the tree of the file, without secrets, unless it cannot be parsed. */
  readonly judgement: string;
}

export interface AppliedSettings extends SettingsProposal {
  /** The version of the file now; undefined if `faults` prevented the change. */
  readonly version: string | undefined;
  readonly isInForce: boolean;
}

export interface SettingsFile {
  read(): Promise<SettingsState>;
  /** The version of the file, and the key pairs of its projects without secrets. Throws request_invalid. */
  keys(): Promise<{ readonly version: string; readonly projects: ReturnType<TextJobs["keys"]> }>;
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

interface SettingsFileOptions {
  readonly reader: SettingsReader;
  /** Settings at the start of the server. */
  readonly started: Settings;
  /** `version`: of the file that the server uses. `refusal`: of the last reload, if it failed. */
  readonly inForce: () => { readonly version: string; readonly refusal: string | undefined };
}

/** The watch needs less than a second on an idle machine. */
const IN_FORCE_MS = 3_000;
const POLL_MS = 25;

export function createSettingsFile({ reader, started: all, inForce }: SettingsFileOptions): SettingsFile {
  const { server, data, store, coordination } = all;
  const started: RestartSettings = { server, data, store, coordination };
  const locks = createKeyLocks();
  const { place, run } = reader;
  const file = resolve(place.file);

  async function readText(): Promise<{ readonly text: string; readonly version: string }> {
    return readSettingsText(file).catch((error: unknown) => {
      throw refused(faultsOf(error)[0]?.message ?? "");
    });
  }

  async function edited(version: string, edits: readonly SettingsEdit[]) {
    const current = await readText();
    if (current.version !== version) throw changed();
    return run("edit", current.text, place, edits, started);
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
        const judgement = await run("state", text, place, started);
        return { file, version, isInForce: version === usedVersion, refusal, readOnly, judgement };
      } catch (error) {
        const judgement = JSON.stringify({ faults: faultsOf(error), warnings: [], needsRestart: [] });
        return { file, version: undefined, isInForce: false, refusal, readOnly, judgement };
      }
    },
    async keys() {
      const { text, version } = await readText();
      return { version, projects: await run("keys", text) };
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

/** Why the file cannot be replaced; undefined if it can. */
export async function readOnlyReason(file: string): Promise<string | undefined> {
  try {
    const target = await realpath(file);
    // A file without write permission is meant to stay, even if its folder would allow to replace it.
    await access(target, constants.W_OK);
    await access(dirname(target), constants.W_OK);
    return undefined;
  } catch (error) {
    return `the settings file or its folder is read-only (${errorCodeOf(error)})`;
  }
}

/** Mounts, permissions and owners: these are no failures of the disk. */
const READ_ONLY: ReadonlySet<string> = new Set(["EACCES", "EBUSY", "EPERM", "EROFS", "EXDEV"]);

/**
 * `isCurrent` is called last before the replacement; if it yields false, nothing happens. Yields whether the file was
 * replaced. Throws request_invalid with 403 if the file cannot be replaced, store_full and store_failed.
 */
export async function replaceFile(file: string, text: string, isCurrent: () => Promise<boolean>): Promise<boolean> {
  let temporary: string | undefined;
  try {
    const target = await realpath(file);
    const { mode, uid, gid } = await stat(target);
    const fresh = `${target}.${randomUUID()}.new`;
    const handle = await open(fresh, "wx", 0o600);
    temporary = fresh; // Removed only if this call has made it.
    try {
      await handle.writeFile(text);
      const own = await handle.stat();
      if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
      await handle.chmod(mode & 0o7777);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const isReplaced = await isCurrent();
    if (isReplaced) await rename(fresh, target);
    syncDirectory(dirname(target));
    return isReplaced;
  } catch (error) {
    const code = errorCodeOf(error);
    if (READ_ONLY.has(code)) throw refused(`the settings file cannot be replaced (${code})`, { answerStatus: 403 });
    throw storeFailure(error, `write "${file}"`);
  } finally {
    if (temporary !== undefined) await rm(temporary, { force: true });
  }
}
