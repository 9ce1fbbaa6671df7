// Opens the S3 store against a real RGW, or a proxy in front of it, in a bucket of its own.
import { randomUUID } from "node:crypto";
import type { Log } from "../../src/core/log.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import type { RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import { openS3Store } from "../../src/serve/bucket/s3/s3-store.ts";
import { createSystemResolve } from "../../src/serve/origin/dial/lookup.ts";
import { createCaller } from "../../src/serve/origin/exchange/caller.ts";

/** The address and credentials of a test's S3. */
export interface S3Place {
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3StoreOptions {
  /** The S3 bucket, which must exist. */
  readonly bucket: string;
  readonly prefix?: string;
  readonly log?: Log;
}

/** A random name for a test's S3 bucket. */
export function bucketName(): string {
  return `huiyuan-${randomUUID()}`;
}

/** Opens the store; `close` also ends its connections. */
export async function openTestS3(place: S3Place, options: S3StoreOptions): Promise<RemoteStore> {
  const { bucket, prefix = "", log = SILENT_LOG } = options;
  const { url, ...rest } = place;
  const caller = createCaller({
    url,
    allowPrivate: true,
    connectTimeoutMs: 2_000,
    connections: 64,
    resolve: createSystemResolve(),
  });
  try {
    const store = await openS3Store({
      ...rest,
      url: `${url}/${bucket}`,
      bucket,
      prefix,
      call: caller.call,
      log,
      now: Date.now,
    });
    const { close } = store;
    return Object.assign(store, {
      async close() {
        await close();
        await caller.close();
      },
    });
  } catch (error) {
    await caller.close();
    throw error;
  }
}
