// Runs the contract of a remote store's buckets on a scripted S3 and on a store in memory, each with its quirks.

import { createMemoryRemote, type Quirks } from "../helpers/memory-remote.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { openTestS3 } from "../helpers/s3-store.ts";
import { type ScriptedS3, startScriptedS3 } from "../helpers/scripted-s3.ts";
import { remoteBucketContract } from "./remote-bucket.ts";

const MEMORY: Readonly<Record<string, Quirks>> = {
  "a store in memory": {},
  "a store that tells no size, time or MD5": { isTerse: true },
  "a store that ignores conditions": { obeys: { absent: false, version: false } },
  "a store that obeys only the condition of absence": { obeys: { absent: true, version: false } },
  "a store whose listings are late and short": { listsLate: true, pageSize: 2 },
  "a slow store": { slowMs: 5 },
  "a store whose responses are lost": { losesResponses: true },
};

for (const [name, quirks] of Object.entries(MEMORY)) {
  remoteBucketContract(name, async () => {
    const { store, ...rest } = createMemoryRemote(quirks);
    const opened = store("images/");
    return {
      ...rest,
      store: opened,
      ignoresConditions: quirks.obeys?.absent === false,
      obeys: quirks.obeys,
      close: opened.close,
    };
  });
}

const S3: Readonly<Record<string, Partial<ScriptedS3>>> = {
  "a scripted S3": {},
  "an S3 without request ids": { saysRequestId: false },
  "an S3 that wants entity tags without quotes": { wantsBareTags: true },
  "an S3 that ignores conditions": { obeysConditions: false },
};

for (const [name, quirks] of Object.entries(S3)) {
  remoteBucketContract(name, async () => {
    const s3 = Object.assign(await startScriptedS3(), quirks);
    const store = await openTestS3(s3, { bucket: "b", prefix: "images/" });
    const putForeign = (object: string, bytes: Buffer) => plainS3(s3).put("b", object, bytes);
    return {
      store,
      ignoresConditions: !s3.obeysConditions,
      obeys: { absent: s3.obeysConditions, version: s3.obeysConditions },
      putForeign,
      async close() {
        await store.close();
        await s3.close();
      },
    };
  });
}
