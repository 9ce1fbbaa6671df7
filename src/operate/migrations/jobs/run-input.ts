// The contract of a run of a migration: its input as one JSON value. A command makes it from its flags, and the server
// from a request. A command runs in its own process, `--detach` and the server start one in the background.
import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { threadUrl } from "../../../async/thread.ts";

/** The options of `huiyuan migrate`, by the names that commander gives them. */
export interface JobFlags {
  readonly config: string;
  /** Folder of the journal. */
  readonly job?: string;
  /** Prints JSON, one object a line. */
  readonly json: boolean;
}

/** Names source and target. */
export interface SourceTargetFlags extends JobFlags {
  readonly settings?: string;
  readonly admin?: string;
  readonly fromOrigin?: string | undefined;
  readonly list?: string | undefined;
  readonly sitemap?: string | undefined;
  readonly allowPrivate: boolean;
  readonly detach?: boolean;
  /** It reads only the folders that the settings name for migrations, and ends with the server that started it. */
  readonly isOfServer?: boolean;
}

export interface CopyFlags extends SourceTargetFlags {
  /** Scans the source again. */
  readonly force: boolean;
  readonly dryRun?: boolean;
  readonly lenient: boolean;
  readonly acceptSuspect: boolean;
  readonly overwrite: "never" | "newer" | "always";
}

export interface VerifyFlags extends SourceTargetFlags {
  /** `100` or `5%`. */
  readonly sample?: string;
  readonly all: boolean;
  readonly manifest?: string;
}

/** A process in the background gets it as its first message. */
export type JobInput = { readonly copy: CopyFlags } | { readonly verify: VerifyFlags };

/**
 * The message of a process that has the lock of its job. All else that it has to tell is in the journal, its exit code
 * is that of the command, and its output is for people.
 */
export const WORKING = "working";

/** Starts a process in the background. Its input is not in its arguments, which every user of the machine can read. */
export function startJobProcess(input: JobInput, stdio: StdioOptions, detached = false): ChildProcess {
  const place = { file: "../commands/job-process.js", from: import.meta.url };
  const child = fork(threadUrl(place), { stdio, detached });
  child.send(input, () => undefined); // If it has died, its end says so.
  return child;
}
