// `npm run example`: runs Huiyuan and the developer's server side by side on this machine until Ctrl-C. Secrets missing
// from the environment are generated at each start, because nothing that they sign needs to outlive it.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "@hono/node-server";
import { createClient } from "huiyuan/client";
import { createApp } from "./app.ts";
import { openPictures } from "./pictures.ts";

const { env } = process;
const port = Number(env.PORT ?? 3000);
const imagePort = Number(env.HUIYUAN_PORT ?? 8080);
const adminPort = Number(env.HUIYUAN_ADMIN_PORT ?? 8081);
const data = resolve(env.EXAMPLE_DATA ?? "data/example");
const secrets = {
  HUIYUAN_SECRET_KEY: env.HUIYUAN_SECRET_KEY ?? randomSecret(),
  CALLBACK_SECRET: env.CALLBACK_SECRET ?? randomSecret(),
};

mkdirSync(data, { recursive: true });
const huiyuan = spawn(
  process.execPath,
  [fileURLToPath(new URL("../../../dist/main.js", import.meta.url)), "serve", "--config", writeSettings()],
  { env: { ...env, ...secrets }, stdio: ["ignore", "pipe", "inherit"] },
);
// Registered before Huiyuan is ready: otherwise it would keep running alone and hold its ports.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => huiyuan.kill("SIGTERM"));
await untilReady(huiyuan);

const images = `http://127.0.0.1:${imagePort}`;
const app = createApp({
  client: createClient({
    endpoint: images,
    downloads: images,
    appid: "10001234",
    bucket: "photos",
    secretId: "AKIDEXAMPLE",
    secretKey: secrets.HUIYUAN_SECRET_KEY,
  }),
  pictures: openPictures(join(data, "pictures.db")),
  callbackSecret: secrets.CALLBACK_SECRET,
  images,
});
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port });
await once(server, "listening");
console.log(`\n  Pictures:  http://127.0.0.1:${(server.address() as AddressInfo).port}\n  Ctrl-C ends both servers.\n`);

await once(huiyuan, "exit");
server.close();
if ("closeAllConnections" in server) server.closeAllConnections();

function randomSecret(): string {
  return randomBytes(24).toString("base64url");
}

/** Writes the settings file beside the data, with this start's ports. */
function writeSettings(): string {
  const text = readFileSync(new URL("./huiyuan.yaml", import.meta.url), "utf8")
    .replaceAll(":3000", `:${port}`)
    .replace("port: 8080", `port: ${imagePort}`)
    .replace("adminPort: 8081", `adminPort: ${adminPort}`);
  const file = join(data, "huiyuan.yaml");
  writeFileSync(file, text);
  return file;
}

/** Forwards the child's output, and resolves at the line that says that it is ready. */
async function untilReady(child: ChildProcess): Promise<void> {
  process.once("exit", () => child.kill());
  await new Promise<void>((ready, failed) => {
    child.once("exit", (code) => failed(new Error(`Huiyuan ended with code ${code} before it was ready`)));
    child.stdout?.on("data", (text: Buffer) => {
      process.stdout.write(text);
      if (text.includes("huiyuan is ready")) ready();
    });
  });
}
