// Remembers in the data folder when the last backup of it began and how it ended, for the metrics of the server.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** `damaged`: it ended, but some images of the data folder were damaged. After a kill, `started` is the latest. */
export type BackupEvent = "started" | "succeeded" | "damaged" | "failed";
/** The last time of each event, if there was one. Unix milliseconds. */
export type LastBackups = Readonly<Partial<Record<BackupEvent, number>>>;

const FILE = "backups.json";

/** Empty if there was none, or if the file cannot be read. */
export async function readLastBackups(data: string): Promise<LastBackups> {
  try {
    const value: unknown = JSON.parse(await readFile(join(data, FILE), "utf8"));
    return Object.fromEntries(Object.entries(value ?? {}).filter(([, at]) => typeof at === "number"));
  } catch {
    return {}; // The next backup writes it anew.
  }
}

export async function noteBackup(data: string, event: BackupEvent): Promise<void> {
  const last: LastBackups = { ...(await readLastBackups(data)), [event]: Date.now() };
  const path = join(data, FILE);
  await writeFile(`${path}.new`, JSON.stringify(last));
  await rename(`${path}.new`, path);
}
