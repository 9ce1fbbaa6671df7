// Writes the settings file of a first start: one project with a new key pair. The console or a person adds buckets.
import { writeFile } from "node:fs/promises";
import { errorCodeOf } from "../core/disk-failure.ts";
import { HuiyuanError } from "../core/errors.ts";
import { makeKeyPair } from "../sign/key-pair.ts";

/** An existing file stays as it is. Throws settings_invalid if the file cannot be written. */
export async function writeFirstSettings(file: string): Promise<void> {
  const { secretId, secretKey } = makeKeyPair();
  const text = `# Settings of Huiyuan. The console edits this file, and so may you; \`huiyuan check\` finds faults.
server: { port: 8080, adminPort: 8081 } # downloads and uploads; the console
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
    if (code === "EEXIST") return;
    throw new HuiyuanError("settings_invalid", `Cannot write "${file}": ${code}`, { cause: error });
  }
}
