// The migrations of a running server. Each is a child process that works as `huiyuan migrate start` or `verify` does,
// with its journal in a folder of its own. They end with the server, and only an operator continues them.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createThread } from "../../../async/thread.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { invalid } from "../../admin/input.ts";
import { JOB_ID, KINDS, type MigrationAnswer, type MigrationFailures } from "../contract.ts";
import type { State } from "../journal/database.ts";
import { jobFolder } from "../journal/job-folder.ts";
import { readCauses, readFailed, readStateIn } from "../journal/reading.ts";
import {
  asRefusal,
  type checkRequest,
  inputOf,
  isJob,
  type JobRequest,
  type JobWork,
  originsOf,
  readRequest,
  removeJob,
  sourceOf,
  withoutSecrets,
  writeJob,
} from "./job-files.ts";
import { startJobProcess } from "./run-input.ts";

/**
 * All methods that take an id throw request_invalid if there is no such job, and with status 409 if it is running and
 * must not be. Texts have no secrets.
 */
export interface MigrationJobs {
  list(): readonly MigrationAnswer[];
  stat(id: string): MigrationAnswer;
  /** Failed objects behind the row `after`, and the most frequent causes of all. */
  failures(id: string, after: number, limit: number): Promise<MigrationFailures>;
  /** Creates and starts it. Throws as checkRequest() and start(). */
  create(id: string, request: JobRequest): Promise<MigrationAnswer>;
  /** Continues it, or compares source and target. Throws as checkRequest(), overloaded, draining. */
  start(id: string, work: JobWork): Promise<MigrationAnswer>;
  /** Lets objects in flight finish, unless forced. No effect if it is not running. */
  stop(id: string, isForced: boolean): MigrationAnswer;
  /** Removes its config and its journal. The objects stay. */
  remove(id: string): { readonly removed: string };
  /** Ends all runs. */
  close(): Promise<void>;
}

export interface MigrationJobsOptions {
  /** Folders of this machine that jobs may read. */
  readonly folders: () => readonly string[];
  /** Throws ConfigFaults if the settings do not know origins of the domain, or if they cannot be listed. */
  readonly checkOrigins: (source: NonNullable<ReturnType<typeof originsOf>>) => void;
  /** Folder of the folders of all jobs. The first job makes it. */
  readonly dir: string;
  /** The settings file of the server, which names the target. */
  readonly settingsFile: string;
}

interface Run {
  readonly child: ChildProcess;
  readonly work: JobWork;
  output: string;
  ended: string | undefined;
}

const MAX_JOBS = 100;
const MAX_RUNNING = 4;
const MAX_OUTPUT_CHARACTERS = 4_096;
const MAX_CAUSES = 20;

export function createMigrationJobs(options: MigrationJobsOptions): MigrationJobs {
  const { dir, settingsFile } = options;
  const thread = createThread<{ checkRequest: typeof checkRequest }>({
    file: "check-thread.js",
    from: import.meta.url,
  });
  /** The last run of each job. */
  const runs = new Map<string, Run>();
  let isClosed = false;

  const isKnown = (id: string) => JOB_ID.test(id) && isJob(join(dir, id));
  const ids = () => (existsSync(dir) ? readdirSync(dir).filter(isKnown) : []);
  const running = () => [...runs].filter(([, { ended }]) => ended === undefined);
  const isRunning = (id: string) => running().some(([own]) => own === id);
  const dirOf = (id: string) => {
    if (!isKnown(id)) throw invalid(`there is no migration ${JSON.stringify(id)}`);
    return join(dir, id);
  };
  const refuseRunning = (id: string) => {
    // Also a command of an operator may work on its folder.
    if (isRunning(id) || jobFolder(dirOf(id)).runningPid() !== undefined)
      throw invalid(`the migration "${id}" is running: wait, or stop it first`, { answerStatus: 409 });
  };
  const refuseStart = () => {
    if (isClosed) throw new HuiyuanError("draining", "Cannot start a migration: the server is stopping");
    if (running().length >= MAX_RUNNING)
      throw new HuiyuanError("overloaded", `${MAX_RUNNING} migrations are running: stop one, or wait`);
  };

  async function check(request: JobRequest): Promise<void> {
    await thread.run("checkRequest", request, options.folders());
    const source = originsOf(request);
    if (source !== undefined) asRefusal(() => options.checkOrigins(source));
  }

  function run(id: string, work: JobWork): MigrationAnswer {
    const child = startJobProcess(inputOf(dirOf(id), settingsFile, work), ["ignore", "pipe", "pipe", "ipc"]);
    const own: Run = { child, work, output: "", ended: undefined };
    runs.set(id, own);
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        own.output = (own.output + text).slice(-MAX_OUTPUT_CHARACTERS);
      });
    const end = (how: unknown) => {
      own.ended ??= String(how);
    };
    child.once("close", (code, signal) => end(code ?? signal));
    child.once("error", ({ message }) => end(message));
    return stat(id);
  }

  function stat(id: string): MigrationAnswer {
    const own = dirOf(id);
    const request = readRequest(own);
    const { output = "", ended, work = {} } = runs.get(id) ?? {};
    const state = readStateIn(jobFolder(own).journal);
    const without = (text: string) => withoutSecrets(text, request);
    const isCut = output.length === MAX_OUTPUT_CHARACTERS;
    return {
      ...{ id, source: sourceOf(request), isRunning: isRunning(id), isVerifying: "sample" in work, ended },
      counters: state?.counters,
      verification: shownVerification(state?.verification, without),
      // The first line may have lost its beginning, and with it the mark of a secret.
      output: without(isCut ? output.slice(output.indexOf("\n") + 1) : output),
    };
  }

  return {
    list: () => ids().map(stat),
    stat,
    async failures(id, after, limit) {
      const request = readRequest(dirOf(id));
      const without = (text: string) => withoutSecrets(text, request);
      const { journal } = jobFolder(dirOf(id));
      const failed = readFailed(journal, after, limit);
      const causes = await readCauses(journal, MAX_CAUSES);
      return {
        failures: failed.map((job) => ({ ...job, log: without(job.log) })),
        next: failed.length < limit ? undefined : failed.at(-1)?.serial,
        causes: causes.map((each) => ({ ...each, example: without(each.example) })),
      };
    },
    async create(id, request) {
      await check(request);
      refuseStart();
      if (isKnown(id)) throw invalid(`there is a migration "${id}": start it, or remove it first`);
      if (ids().length >= MAX_JOBS) throw invalid(`there are ${MAX_JOBS} migrations: remove one first`);
      writeJob(join(dir, id), request);
      return run(id, { rescans: false });
    },
    async start(id, work) {
      // The setting may have changed since.
      await check(readRequest(dirOf(id)));
      refuseRunning(id);
      refuseStart();
      return run(id, work);
    },
    stop(id, isForced) {
      const job = stat(id);
      if (job.isRunning) runs.get(id)?.child.kill(isForced ? "SIGTERM" : "SIGINT");
      return job;
    },
    remove(id) {
      refuseRunning(id);
      removeJob(dirOf(id));
      runs.delete(id);
      return { removed: id };
    },
    async close() {
      isClosed = true;
      const ends = running().map(([, { child }]) => once(child, "close"));
      // A kill loses nothing but objects in flight, which the next run copies.
      for (const [, { child }] of running()) child.kill("SIGKILL");
      await Promise.all(ends);
    },
  };
}

function shownVerification(
  found: State["verification"],
  without: (text: string) => string,
): MigrationAnswer["verification"] {
  if (found === undefined) return undefined;
  const findings = KINDS.map((kind) => {
    const { count, first } = found.findings[kind];
    return { kind, count, first: first.map(({ fileid, reason }) => ({ fileid, reason: without(reason) })) };
  });
  return { ...found, troubles: found.troubles?.map(without), findings: findings.filter(({ count }) => count > 0) };
}
