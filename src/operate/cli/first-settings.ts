// Writes the settings file of a first start: one project with a new key pair. The console or a person adds buckets.
import { once } from "node:events";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { errorCodeOf } from "../../core/disk-failure.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { writeSyncedFile } from "../../core/files.ts";
import { makeKeyPair } from "../../settings/key-pair.ts";

const PORTS = [8080, 8081] as const;
/** Ports that are tried after the usual one. */
const MORE_PORTS = 20;

/**
 * Yields a line for the operator; undefined: the file exists, and stays as it is. Throws settings_invalid if the file
 * cannot be written.
 */
export async function writeFirstSettings(
  file: string,
  [wantedPort, wantedAdminPort]: readonly [number, number] = PORTS,
): Promise<string | undefined> {
  const { secretId, secretKey } = makeKeyPair();
  const port = await nextFreePort(wantedPort, wantedAdminPort);
  const adminPort = await nextFreePort(wantedAdminPort, port);
  const text = `# Settings of Huiyuan. The console edits this file, and so may you; \`huiyuan check\` finds faults.
server: { port: ${port}, adminPort: ${adminPort} } # downloads and uploads; the console
projects:
  - appid: "10001234" # Any number. It is part of URLs and tokens: if you had one before, keep it.
    keys:
      - secretId: "${secretId}"
        secretKey: "${secretKey}"
    buckets: []
`;
  try {
    await writeSyncedFile(file, Buffer.from(text));
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === "EEXIST") return undefined;
    throw new HuiyuanError("settings_invalid", `Cannot write "${file}": ${code}`, { cause: error });
  }
  return `${resolve(file)} is new: port ${port} is for downloads, ${adminPort} for the console`;
}

/** Any but the other port; the wanted one if none is free, and the start then names the program that uses it. */
async function nextFreePort(wanted: number, other: number): Promise<number> {
  for (let port = wanted; port <= wanted + MORE_PORTS; port += 1)
    if (port !== other && (await isPortFree(port))) return port;
  return wanted;
}

/** Any failure but a port in use is reported by the start, such as that of a port below 1024. */
export async function isPortFree(port: number, host = "0.0.0.0"): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    return errorCodeOf(error) !== "EADDRINUSE";
  } finally {
    server.close();
  }
  return true;
}
