// Builds dist/ after an install from source. If the compiler is not installed (an image, `npm ci --omit=dev`), the
// copied dist/ is used as it is.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Never `.pathname`: it stays percent-encoded if the folder's name has a blank or Chinese characters.
const compiler = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
if (existsSync(compiler)) {
  rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
  const project = fileURLToPath(new URL("./tsconfig.build.json", import.meta.url));
  process.exitCode = spawnSync(process.execPath, [compiler, "-p", project], { stdio: "inherit" }).status ?? 1;
} else if (!existsSync(new URL("../dist/main.js", import.meta.url))) {
  console.error("huiyuan: neither the TypeScript compiler nor dist/ is here; install with development dependencies");
  process.exitCode = 1;
}
