// A folder for the real servers that all test files of one run share. A server starts when the first test asks for it
// (test/helpers/ceph.ts); here they end with the run.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CEPH = fileURLToPath(new URL("../test/services/ceph-rgw.sh", import.meta.url));

/** Tells the test processes through their environment, which they have from this one. */
export default function shareServices(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "huiyuan-services-"));
  process.env.HUIYUAN_TEST_SERVICES = folder;
  process.env.HUIYUAN_TEST_OWNER = String(process.pid);
  return () => {
    spawnSync("bash", [CEPH, "stop", join(folder, "ceph")], { stdio: "ignore", timeout: 30_000 });
    rmSync(folder, { recursive: true, force: true });
  };
}
