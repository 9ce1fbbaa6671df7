// The only thread that writes the catalogue, the packs and the blob folder, and that waits for their fsyncs. writer.ts
// starts it.
import { parentPort, workerData } from "node:worker_threads";
import { asHuiyuanError } from "../../../core/errors.ts";
import { openCatalogue, prepareOn } from "../catalogue/schema.ts";
import { openBlobFolder } from "../packs/blob-folder.ts";
import { openPackFolder, type PackFolder } from "../packs/pack-folder.ts";
import { prepareBatches } from "./batch.ts";
import type { FromWriter, ToWriter, WriterData } from "./writer.ts";

function serve(port: NonNullable<typeof parentPort>, { dataDir, packBytes, shared }: WriterData): void {
  const answer = (message: FromWriter) => port.postMessage(message);
  try {
    const path = `${dataDir}/catalogue.db`;
    const database = openCatalogue(path);
    let packs: PackFolder | undefined;
    const openPacks = (newestKnown: number) => (packs = openPackFolder(dataDir, newestKnown, packBytes));
    const blobs = openBlobFolder(dataDir);
    const runBatch = prepareOn(path, () => prepareBatches({ database, blobs, openPacks, shared }));
    port.on("message", (message: ToWriter) => {
      if (message.kind === "batch") {
        answer({ kind: "outcomes", outcomes: runBatch(message.batch) });
      } else {
        packs?.close();
        database.close();
        port.close();
      }
    });
    answer({ kind: "ready" });
  } catch (error) {
    const { code, message } = asHuiyuanError(error);
    answer({ kind: "failed", code, message });
    port.close();
  }
}

if (parentPort !== null) serve(parentPort, workerData as WriterData);
