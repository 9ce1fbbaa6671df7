import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { overdue } from "../../config/watch-workers.ts";

test.runIf(process.platform === "linux")(
  "overdue() names own processes alone, whatever stands in the notes",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "huiyuan-workers-"));
    const [old, recent, ended] = [1, 2, 3].map(() => spawn("sleep", ["60"], { stdio: "ignore" }));
    const exited = once(ended!, "exit");
    ended?.kill("SIGKILL");
    await exited;
    try {
      const note = (pid: number | undefined, since: number) =>
        writeFileSync(join(folder, String(pid)), JSON.stringify({ file: "a.test.ts", since, test: "" }));
      note(old?.pid, 1_000);
      note(recent?.pid, 3_000);
      note(ended?.pid, 1_000);
      // A foreign process, which has got the id of an ended test process.
      note(process.ppid, 1_000);
      writeFileSync(join(folder, "report.json"), "{}");
      expect(overdue(folder, 2_000)).toEqual([
        { pid: String(old?.pid), note: { file: "a.test.ts", since: 1_000, test: "" } },
      ]);
    } finally {
      for (const child of [old, recent]) child?.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  },
);
