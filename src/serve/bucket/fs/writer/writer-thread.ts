// The only thread that writes the catalogue, the packs and the blob folder, and that waits for their fsyncs. writer.ts
// starts it.
import { serveBatches } from "../../../../sqlite/batch-thread.ts";
import { openCatalogue, prepareOn } from "../catalogue/schema.ts";
import type { Operation } from "../catalogue/write-operations.ts";
import { openBlobFolder } from "../packs/blob-folder.ts";
import { openPackFolder, type PackFolder } from "../packs/pack-folder.ts";
import { prepareBatches } from "./batch.ts";
import type { WriterData } from "./writer.ts";

serveBatches<WriterData, Operation>(({ dataDir, packBytes }, { shared }) => {
  const path = `${dataDir}/catalogue.db`;
  const database = openCatalogue(path);
  let packs: PackFolder | undefined;
  const openPacks = (newestKnown: number) => (packs = openPackFolder(dataDir, newestKnown, packBytes));
  const blobs = openBlobFolder(dataDir);
  return {
    run: prepareOn(path, () => prepareBatches({ database, blobs, openPacks, shared })),
    close() {
      packs?.close();
      database.close();
    },
  };
});
