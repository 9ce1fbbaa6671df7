// Kills test processes that hang, so that the run continues and fails instead of hanging. Before that it reports the
// process's current test and a diagnostic report. Causes of a hang: an endless loop, a blocking call, a promise outside
// every time-out.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Several times the longest file. The sweeps of `npm run lab:full` need hours. */
const MAX_FILE_MS = process.env.HUIYUAN_LAB === "1" ? 4 * 3_600_000 : 15 * 60_000;
const LOOK_MS = 5_000;
const REPORT_MS = 5_000;

/** A note that note-worker.ts writes; the file's name is the process id. */
export interface Note {
  readonly file: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The test that started last. */
  readonly test: string;
}

export default function watchWorkers(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-workers-"));
  process.env.HUIYUAN_TEST_WORKERS = folder;
  const ended = new Set<string>();
  const timer = setInterval(() => {
    for (const { pid, note } of overdue(folder, Date.now() - MAX_FILE_MS)) {
      if (ended.has(pid)) continue;
      ended.add(pid);
      void end(folder, pid, note);
    }
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true });
  };
}

/**
 * Returns the folder's notes whose processes started their file before `since`. A note can outlive its process, and
 * another process may then get the same id. A note older than its process is therefore ignored.
 */
export function overdue(folder: string, since: number): readonly { readonly pid: string; readonly note: Note }[] {
  return processNumbers(folder).flatMap((pid) => {
    const note = readNote(folder, pid);
    return note !== undefined && note.since < since && isOwn(pid) ? [{ pid, note }] : [];
  });
}

async function end(folder: string, pid: string, { file, test }: Note): Promise<void> {
  process.kill(Number(pid), "SIGUSR2"); // node writes its report, unless the thread is in a native call
  await delay(REPORT_MS);
  console.error(
    `${file} has not ended after ${MAX_FILE_MS / 60_000} minutes: killed. It was in, or behind, "${test}":`,
  );
  for (const line of [...waitingFor(folder, pid), ...children(pid)]) console.error(`  ${line}`);
  if (isOwn(pid)) process.kill(Number(pid), "SIGKILL");
}

function waitingFor(folder: string, pid: string): string[] {
  const name = readdirSync(folder).find((found) => found.includes(`.${pid}.`));
  if (name === undefined) return ["a call that does not return, or a loop without an end"];
  const { libuv } = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const handles = (libuv as { is_active?: boolean; is_referenced?: boolean }[]).filter((handle) => handle.is_active);
  return handles.filter((handle) => handle.is_referenced).map((handle) => JSON.stringify(handle));
}

function children(pid: string): string[] {
  if (process.platform !== "linux") return [];
  return processNumbers("/proc").flatMap((number) => {
    try {
      return isChildOf(pid, number) ? [readFileSync(`/proc/${number}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // the process has ended
    }
  });
}

/** Throws if the process has ended. */
const isChildOf = (parent: string, pid: string) =>
  new RegExp(`^PPid:\\s+${parent}$`, "m").test(readFileSync(`/proc/${pid}/status`, "latin1"));

const processNumbers = (folder: string) => readdirSync(folder).filter((name) => /^\d+$/.test(name));

function readNote(folder: string, pid: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, pid), "utf8"));
  } catch {
    return undefined; // the note is being written
  }
}

/**
 * True if the process is alive and a child of this one, as all test processes are. Without /proc (outside Linux) only
 * alive.
 */
function isOwn(pid: string): boolean {
  try {
    return process.platform === "linux" ? isChildOf(String(process.pid), pid) : process.kill(Number(pid), 0);
  } catch {
    return false; // the process has ended
  }
}
