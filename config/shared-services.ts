// Makes a folder for the real servers that all test files of one run share, and stops those servers after the run. The
// first test that needs a server starts it (test/helpers/ceph.ts).
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CEPH = fileURLToPath(new URL("../test/services/ceph-rgw.sh", import.meta.url));

/** Test processes inherit this environment, so it carries the folder to them. */
export default function shareServices(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-services-"));
  process.env.HUIYUAN_TEST_SERVICES = folder;
  process.env.HUIYUAN_TEST_OWNER = String(process.pid);
  return () => {
    spawnSync("bash", [CEPH, "stop", join(folder, "ceph")], { stdio: "ignore", timeout: 30_000 });
    rmSync(folder, { recursive: true, force: true });
  };
}
