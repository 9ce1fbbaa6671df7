// The thread that alone writes the catalogue and the blob folder, and alone waits for their fsyncs. Started by writer.ts.
import { parentPort, workerData } from "node:worker_threads";
import { asHuiyuanError } from "../../errors.ts";
import { prepareBatches } from "./batch.ts";
import { openBlobFolder } from "./blob-folder.ts";
import { openCatalogue, prepareOn } from "./schema.ts";
import type { FromWriter, ToWriter, WriterData } from "./writer.ts";

function serve(port: NonNullable<typeof parentPort>, { dataDir }: WriterData): void {
  const answer = (message: FromWriter) => port.postMessage(message);
  try {
    const path = `${dataDir}/catalogue.db`;
    const database = openCatalogue(path);
    const runBatch = prepareOn(path, () => prepareBatches(database, openBlobFolder(dataDir)));
    port.on("message", (message: ToWriter) => {
      if (message.kind === "batch") {
        answer({ kind: "outcomes", outcomes: runBatch(message.batch) });
      } else {
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
