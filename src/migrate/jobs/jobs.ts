// The migrations of a running server. Each is `huiyuan migrate start` as a child process, with its journal in a folder
// of its own. They end with the server, and only an operator continues them.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "../../core/errors.ts";
import { jobFolder } from "../journal/job-folder.ts";
import type { Counters } from "../journal/metadata.ts";
import { type FailedJob, type JournalReader, openJournalReader } from "../journal/reading.ts";
import { checkJob, commandOf, isJob, type JobRequest, readRequest, sourceOf, writeJob } from "./job-files.ts";

export interface MigrationJob {
  readonly id: string;
  /** `migrate.type` of its config, or the domain whose origins are the source. */
  readonly source: string;
  readonly isRunning: boolean;
  /** The exit code of its last run since the server started, or the name of the signal that ended it. */
  readonly ended: string | undefined;
  /** Undefined before its first run has begun. */
  readonly counters: Counters | undefined;
}

/** All methods that take an id throw request_invalid if there is no such job, or if it is running and must not be. */
export interface MigrationJobs {
  list(): readonly MigrationJob[];
  stat(id: string): MigrationJob;
  /** The end of the output of its last run. */
  output(id: string): string;
  failures(id: string, after: number, limit: number): readonly FailedJob[];
  /** Creates and starts it. Throws as writeJob() and start(). */
  create(id: string, request: JobRequest): void;
  /** Continues it. `rescans`: also copies what the source has changed. Throws as checkJob(), overloaded, draining. */
  start(id: string, rescans: boolean): void;
  /** Lets objects in flight finish, unless forced. False: it was not running. */
  stop(id: string, isForced: boolean): boolean;
  /** Removes its config and its journal. The objects stay. */
  remove(id: string): Promise<void>;
  /** Ends all runs. */
  close(): Promise<void>;
}

export interface MigrationJobsOptions {
  /** Folder of the folders of all jobs. The first job makes it. */
  readonly dir: string;
  /** The settings file of the server, which names the target. */
  readonly settingsFile: string;
  /** The arguments of node that run this program. */
  readonly program: readonly string[];
  /** Folders of this machine that jobs may read. */
  readonly folders: () => readonly string[];
}

/** An id is the name of a folder. */
export const JOB_ID = /^[a-z0-9][a-z0-9-]{0,39}$/;
const MAX_JOBS = 100;
const MAX_RUNNING = 4;
const END_MS = 3_000;
const MAX_OUTPUT_BYTES = 4_096;

export function createMigrationJobs({ dir, settingsFile, program, folders }: MigrationJobsOptions): MigrationJobs {
  const running = new Map<string, ChildProcess>();
  const ended = new Map<string, string>();
  let isClosed = false;

  const isKnown = (id: string) => JOB_ID.test(id) && isJob(join(dir, id));
  const ids = () => (existsSync(dir) ? readdirSync(dir).filter(isKnown) : []);
  const folderOf = (id: string) => {
    if (!isKnown(id)) throw refused(`there is no migration ${JSON.stringify(id)}`);
    return jobFolder(join(dir, id));
  };
  const refuseRunning = (id: string) => {
    if (running.has(id)) throw refused(`the migration "${id}" is running: stop it first`);
  };
  const refuseStart = () => {
    if (isClosed) throw new HuiyuanError("draining", "Cannot start a migration: the server is stopping");
    if (running.size >= MAX_RUNNING)
      throw new HuiyuanError("overloaded", `${MAX_RUNNING} migrations are running: stop one, or wait`);
  };

  function run(id: string, more: readonly string[]): void {
    const folder = folderOf(id);
    const output = openSync(folder.output, "w", 0o600);
    try {
      // The channel tells the child if this process ends, in whatever way.
      const stdio = ["ignore", output, output, "ipc"] as const;
      const args = [...program, ...commandOf(folder.dir, settingsFile), ...more];
      const child = spawn(process.execPath, args, { stdio: [...stdio] });
      const end = (how: unknown) => {
        running.delete(id);
        ended.set(id, String(how));
      };
      running.set(id, child);
      child.once("exit", (code, signal) => end(code ?? signal));
      child.once("error", ({ message }) => end(message));
    } finally {
      closeSync(output);
    }
  }

  function stat(id: string): MigrationJob {
    const folder = folderOf(id);
    const counters = readJournal(folder.journal, (reader) => reader.counters());
    const source = sourceOf(readRequest(folder.dir));
    return { id, source, isRunning: running.has(id), ended: ended.get(id), counters };
  }

  return {
    list: () => ids().map(stat),
    stat,
    output: (id) => endOf(folderOf(id).output),
    failures: (id, after, limit) => readJournal(folderOf(id).journal, (reader) => reader.failed(after, limit)) ?? [],
    create(id, request) {
      refuseStart();
      if (isKnown(id)) throw refused(`there is a migration "${id}": start it, or remove it first`);
      if (ids().length >= MAX_JOBS) throw refused(`there are ${MAX_JOBS} migrations: remove one first`);
      writeJob(join(dir, id), request, folders());
      run(id, []);
    },
    start(id, rescans) {
      refuseRunning(id);
      refuseStart();
      // The setting may have changed since.
      checkJob(folderOf(id).dir, folders());
      run(id, rescans ? ["--force"] : []);
    },
    stop(id, isForced) {
      folderOf(id);
      return running.get(id)?.kill(isForced ? "SIGTERM" : "SIGINT") ?? false;
    },
    async remove(id) {
      const folder = folderOf(id);
      refuseRunning(id);
      await rm(folder.dir, { recursive: true, force: true });
      ended.delete(id);
    },
    async close() {
      isClosed = true;
      const exits = [...running.values()].map((child) => {
        child.kill("SIGTERM");
        return once(child, "exit");
      });
      await Promise.race([Promise.all(exits), delay(END_MS, undefined, { ref: false })]);
      for (const child of running.values()) child.kill("SIGKILL");
    },
  };
}

function refused(message: string): HuiyuanError {
  return new HuiyuanError("request_invalid", message);
}

function readJournal<Value>(path: string, read: (reader: JournalReader) => Value): Value | undefined {
  const reader = openJournalReader(path);
  try {
    return reader && read(reader);
  } finally {
    reader?.close();
  }
}

function endOf(path: string): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(MAX_OUTPUT_BYTES);
    const from = Math.max(0, statSync(path).size - MAX_OUTPUT_BYTES);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, MAX_OUTPUT_BYTES, from));
  } finally {
    closeSync(file);
  }
}
