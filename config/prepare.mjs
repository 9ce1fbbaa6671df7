// `npm run build`, which also runs after an install from source. Builds dist/, then the console into
// dist/console/; if the compiler is not installed (an image, `npm ci --omit=dev`), the
// copied dist/ is used as it is. Gets the binary of better-sqlite3 for a Node without SQLite: package.json denies that
// package its own install script, which would run, and compile for a minute, on every Node.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Never `.pathname`: it stays percent-encoded if the folder's name has a blank or Chinese characters.
const pathOf = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const run = (args, options) => spawnSync(process.execPath, args, options).status ?? 1;

const compiler = pathOf("node_modules/typescript/bin/tsc");
if (existsSync(compiler)) {
  rmSync(pathOf("dist"), { recursive: true, force: true });
  process.exitCode = run([compiler, "-p", pathOf("config/tsconfig.build.json")], { stdio: "inherit" });
  const vite = pathOf("node_modules/vite/bin/vite.js");
  if (process.exitCode === 0 && existsSync(vite))
    process.exitCode = run([vite, "build", "--config", pathOf("config/console.vite.ts")], { stdio: "inherit" });
  // `npm link` sets it once, for a link to this file; a file of the compiler lacks it.
  chmodSync(pathOf("dist/main.js"), 0o755);
} else if (!existsSync(pathOf("dist/main.js"))) {
  console.error("huiyuan: neither the TypeScript compiler nor dist/ is here; install with development dependencies");
  process.exitCode = 1;
}

const folder = pathOf("node_modules/better-sqlite3");
const hasBinary = () => run(["-e", "new (require('better-sqlite3'))(':memory:')"], { cwd: folder }) === 0;
if (Number.parseInt(process.versions.node, 10) < 24 && !hasBinary()) {
  run([process.env.npm_execpath ?? "", "run", "install"], { cwd: folder, stdio: "inherit" });
  if (!hasBinary()) {
    console.error("huiyuan: better-sqlite3 has no binary; use Node 24 or later, or install g++, make and python3");
    process.exitCode = 1;
  }
}
