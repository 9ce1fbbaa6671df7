// `npm run walk`: counts the functions and files of the program that one warm miss runs through, from its first byte
// on the socket until the origin has the request. V8's coverage counts; the origin answers late, so that nothing else
// runs.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { Session } from "node:inspector/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SILENT_LOG } from "../../src/core/log.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";

const DIST = new URL("../../dist/", import.meta.url);
const PICTURE = readFileSync(new URL("../../config/samples/lighthouse.jpg", import.meta.url));
const WARM_UPS = 30;
/** Longer than the background work of a miss. Milliseconds. */
const QUIET_MS = 800;
const HELD_MS = 200;

interface Modules {
  readonly app: typeof import("../../src/app.ts");
  readonly load: typeof import("../../src/settings/load.ts");
}

async function modules(): Promise<Modules> {
  const at = (path: string) => import(new URL(path, DIST).href);
  return { app: await at("app.js"), load: await at("settings/load.js") };
}

let reached: () => void = () => undefined;
const origin = createServer(async (asked, answer) => {
  if (asked.url === "/last.jpg") {
    reached();
    await delay(HELD_MS);
  }
  answer.writeHead(200, { "Content-Type": "image/jpeg", "Content-Length": PICTURE.length }).end(PICTURE);
});
await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
const { port } = origin.address() as AddressInfo; // a bound TCP server has one
const folder = await mkdtemp(join(tmpdir(), "huiyuan-walk-"));
const data = join(folder, "data");
const { app, load } = await modules();
const domain = { host: "img.example", mirror: mirrorOf(`http://127.0.0.1:${port}`) };
const settings = load.parseSettings(
  JSON.stringify({
    data,
    server: { host: "127.0.0.1", port: 0, adminPort: 0 },
    projects: [{ appid: APPID, keys: [KEYS[0]], buckets: [{ name: "photos", domains: [domain] }] }],
  }),
  { env: process.env, readFile: (path) => readFileSync(path, "utf8"), file: join(folder, "huiyuan.yaml") },
);
const server = await app.startApp({ settings, log: SILENT_LOG });
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function get(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { agent, host: "127.0.0.1", port: server.downloadPort, path, headers: { host: "img.example" } };
    const asked = request(options, (answer) => {
      answer.resume().once("end", () => resolve(answer.statusCode ?? 0));
    });
    asked.once("error", reject).end();
  });
}

for (let index = 0; index < WARM_UPS; index += 1) await get(`/warm/${index}.jpg`);
await delay(QUIET_MS);
const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
const arrived = new Promise<void>((resolve) => {
  reached = resolve;
});
const last = get("/last.jpg");
await arrived;
const { result } = await session.post("Profiler.takePreciseCoverage");
if ((await last) !== 200) throw new Error("the counted miss failed");

const files = new Map<string, string[]>();
for (const { url, functions } of result) {
  if (!url.startsWith(DIST.href)) continue;
  const run = functions.filter(({ functionName, ranges: [whole] }) => {
    const isScript = functionName === "" && whole?.startOffset === 0;
    return (whole?.count ?? 0) > 0 && !isScript;
  });
  if (run.length > 0) {
    files.set(
      relative(fileURLToPath(DIST), fileURLToPath(url)),
      run.map(({ functionName }) => functionName || "(closure)"),
    );
  }
}
for (const [file, names] of [...files].sort()) process.stdout.write(`${file}: ${names.join(", ")}\n`);
const total = [...files.values()].flat().length;
process.stdout.write(`${total} functions in ${files.size} files\n`);
await server.stop();
origin.closeAllConnections();
await rm(folder, { recursive: true, force: true });
process.exit();
