// Requests to a running server for tests of processed images, and checks of its stored files.
import { request } from "node:http";
import { join } from "node:path";
import sharp from "sharp";
import { openSqlite } from "../../src/core/sqlite.ts";
import { get } from "./get.ts";

/** `["jpeg", 300, 200]` */
export async function sizeOf(bytes: Buffer): Promise<readonly [string | undefined, number, number]> {
  const { format, width, height } = await sharp(bytes).metadata();
  return [format, width, height];
}

/** The value of a series without labels, or with exactly these labels; 0 if it does not exist yet. */
export async function metric(adminPort: number, name: string): Promise<number> {
  const { body } = await get({ port: adminPort, host: "127.0.0.1", path: "/metrics" });
  const line = body
    .toString()
    .split("\n")
    .find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** `POST /api/v1/objects/<change>`; rejects unless every line reports success or that no change was needed. */
export function changeObjects(
  adminPort: number,
  change: "delete" | "undelete" | "purge",
  body: { readonly names: readonly string[]; readonly bucket: string; readonly hard?: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port: adminPort,
        path: `/api/v1/objects/${change}`,
        method: "POST",
        agent: false,
        headers: { host: "127.0.0.1", "content-type": "application/json" },
      },
      (answer) => {
        let text = "";
        answer.on("data", (part: Buffer) => {
          text += part.toString();
        });
        answer.on("end", () => {
          const isDone = answer.statusCode === 200 && /"failed":0/.test(text);
          if (isDone) resolve();
          else reject(new Error(`${change}: ${answer.statusCode} ${text}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

/** Objects of one bucket in the embedded store: SHA-256 and size of each. */
export function storedObjects(
  data: string,
  bucketId: string,
): readonly { readonly sha256: string; readonly size: number }[] {
  const database = openSqlite(join(data, "catalogue.db"), { readonly: true });
  try {
    return database
      .prepare(
        `SELECT sha256, size FROM entries JOIN buckets ON buckets.id = entries.bucket JOIN blobs ON blobs.id = entries.blob
         WHERE name = ?`,
      )
      .all(bucketId) as { sha256: string; size: number }[];
  } finally {
    database.close();
  }
}
