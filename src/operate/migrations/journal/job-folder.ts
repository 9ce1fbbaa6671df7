// The folder of one migration: its journal, the lock of the one run that may work, and the process id for `stop`.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { storeFailure } from "../../../core/disk-failure.ts";
import { tryLock } from "../../../serve/bucket/fs/lock.ts";

export interface JobFolder {
  readonly dir: string;
  readonly journal: string;
  /** The output of a run in the background. */
  readonly output: string;
  /** Spool files of a run whose target is not on this machine. Its name is its own: --job may name any folder. */
  readonly spool: string;
  /** The lock is the kernel's and ends with its process, so a stale pid never blocks. Undefined: another run works. */
  lock(): (() => void) | undefined;
  /** The process of the run that works; undefined if none does. A run that starts in the same moment is refused. */
  runningPid(): number | undefined;
  /** Removes the journal and the pid. The caller has the lock. */
  clean(): void;
}

/** Creates nothing but the lock's file, and the folder for it. */
export function jobFolder(dir: string): JobFolder {
  const at = (name: string) => join(dir, name);
  const [journal, spool, pidFile] = [at("jobs.db"), at("jobs.spool"), at("pid")];

  function tryToLock(): (() => void) | undefined {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      return tryLock(at("lock"));
    } catch (error) {
      throw storeFailure(error, `use the job folder ${JSON.stringify(dir)}`);
    }
  }

  /** The process of the run that has the lock, or of one that was killed. */
  function pid(): number | undefined {
    try {
      const found = Number(readFileSync(pidFile, "utf8"));
      return Number.isSafeInteger(found) && found > 0 ? found : undefined;
    } catch {
      return undefined; // no run has written it, or it has just ended
    }
  }

  return {
    ...{ dir, journal, output: at("migrate.log"), spool },
    lock() {
      const unlock = tryToLock();
      if (unlock === undefined) return undefined;
      writeFileSync(pidFile, `${process.pid}\n`);
      return () => {
        rmSync(pidFile, { force: true });
        unlock();
      };
    },
    runningPid() {
      const found = pid();
      const unlock = found === undefined ? undefined : tryToLock();
      unlock?.();
      return unlock === undefined ? found : undefined;
    },
    clean() {
      for (const path of [journal, `${journal}-wal`, `${journal}-shm`, pidFile, spool])
        rmSync(path, { recursive: true, force: true });
    },
  };
}
