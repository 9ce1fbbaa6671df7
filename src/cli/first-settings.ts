// Writes the settings file of a first start: one project with a new key pair. The console or a person adds buckets.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { errorCodeOf } from "../core/disk-failure.ts";
import { HuiyuanError } from "../core/errors.ts";
import { makeKeyPair } from "../sign/key-pair.ts";

const PORTS = [8080, 8081] as const;
/** Ports that are tried after the usual one. */
const MORE_PORTS = 20;

/**
 * Yields a line for the operator if the file has other ports, because programs use the usual ones. An existing file
 * stays as it is. Throws settings_invalid if the file cannot be written.
 */
export async function writeFirstSettings(
  file: string,
  [wantedPort, wantedAdminPort]: readonly [number, number] = PORTS,
): Promise<string | undefined> {
  const { secretId, secretKey } = makeKeyPair();
  const adminPort = await nextFreePort(wantedAdminPort);
  const port = await nextFreePort(wantedPort, adminPort);
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
    await writeFile(file, text, { flag: "wx", mode: 0o600 });
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === "EEXIST") return undefined;
    throw new HuiyuanError("settings_invalid", `Cannot write "${file}": ${code}`, { cause: error });
  }
  if (port === wantedPort && adminPort === wantedAdminPort) return undefined;
  const taken = [port !== wantedPort ? [wantedPort] : [], adminPort !== wantedAdminPort ? [wantedAdminPort] : []].flat();
  return `in use: port ${taken.join(" and ")}; so ${resolve(file)} has port ${port}, and ${adminPort} for the console`;
}

/** The wanted port if none is free; the start then names the program that uses it. */
async function nextFreePort(wanted: number, taken?: number): Promise<number> {
  for (let port = wanted; port <= wanted + MORE_PORTS; port += 1)
    if (port !== taken && (await isPortFree(port))) return port;
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
