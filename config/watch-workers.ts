// A test process that hangs (a loop without an end, a call that blocks, a promise outside every time-out) would hold the
// run for ever. This says which test it was in and what it waited for, and kills it: the run goes on, and fails.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Several times the longest file. The long sweeps of `npm run lab` take their time. */
const MAX_FILE_MS = process.env.HUIYUAN_LAB === "1" ? 4 * 3_600_000 : 15 * 60_000;
const LOOK_MS = 5_000;
const REPORT_MS = 5_000;

/** What note-worker.ts writes, under the number of its process. */
interface Note {
  readonly file: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** The one begun last. */
  readonly test: string;
}

export default function watchWorkers(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-workers-"));
  process.env.HUIYUAN_TEST_WORKERS = folder;
  const ended = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of processNumbers(folder).filter((number) => !ended.has(number))) {
      const note = readNote(folder, pid);
      if (note === undefined || Date.now() - note.since < MAX_FILE_MS || !isAlive(pid)) continue;
      ended.add(pid);
      void end(folder, pid, note);
    }
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true });
  };
}

async function end(folder: string, pid: string, { file, test }: Note): Promise<void> {
  process.kill(Number(pid), "SIGUSR2"); // node writes its report, unless it is in a call
  await delay(REPORT_MS);
  console.error(
    `${file} has not ended after ${MAX_FILE_MS / 60_000} minutes: killed. It was in, or behind, "${test}":`,
  );
  for (const line of [...waitingFor(folder, pid), ...children(pid)]) console.error(`  ${line}`);
  if (isAlive(pid)) process.kill(Number(pid), "SIGKILL");
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
      const isChild = new RegExp(`^PPid:\\s+${pid}$`, "m").test(readFileSync(`/proc/${number}/status`, "latin1"));
      return isChild ? [readFileSync(`/proc/${number}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // ended
    }
  });
}

const processNumbers = (folder: string) => readdirSync(folder).filter((name) => /^\d+$/.test(name));

function readNote(folder: string, pid: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, pid), "utf8"));
  } catch {
    return undefined; // being written
  }
}

function isAlive(pid: string): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}
