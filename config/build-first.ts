// Builds dist/ before the tests: worker threads and the end-to-end tests run the built program, never a stale one.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function buildFirst(): void {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const build = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "config/tsconfig.build.json"], {
    cwd: root,
    encoding: "utf8",
  });
  // tsc writes dist/ even if types are wrong; `npm run types` refuses wrong types.
  if (build.error !== undefined) throw build.error;
  if (build.status !== 0) console.warn(build.stdout);
}
