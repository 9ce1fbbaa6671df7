// `huiyuan migrate start --detach`: runs in the background, with its output in the job folder.
import { once } from "node:events";
import { fstatSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { type ExitCode, shown, type Terminal } from "../../cli/terminal.ts";
import { type CopyFlags, startJobProcess, WORKING } from "../jobs/run-input.ts";
import type { JobFolder } from "../journal/job-folder.ts";

/** Returns once the run works, or has ended. */
export async function startDetached(copy: CopyFlags, folder: JobFolder, { out, err }: Terminal): Promise<ExitCode> {
  mkdirSync(folder.dir, { recursive: true, mode: 0o700 });
  const output = openSync(folder.output, "a", 0o600);
  const before = fstatSync(output).size;
  const child = startJobProcess({ copy: { ...copy, detach: false } }, ["ignore", output, output, "ipc"], true);
  const [found] = await Promise.race([once(child, "message"), once(child, "exit")]);
  if (found !== WORKING) {
    err.write(readFileSync(folder.output).subarray(before));
    return found === 0 || found === 2 ? found : 1;
  }
  child.disconnect();
  child.unref();
  out.write(`Runs in the background as process ${child.pid}; its output is in ${shown(folder.output)}\n`);
  return 0;
}
