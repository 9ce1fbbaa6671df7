// A bucket behind a REST API as the target of a migration, by the SDK's calls. An upload never replaces: if the name is
// taken (-1886), the MD5 of the object there decides whether it is the same.
import { HuiyuanClientError, transportError } from "../../client/api/client-error.ts";
import { createClient } from "../../client/client.ts";
import type { RestPlace } from "../config/config.ts";
import type { Target } from "../target.ts";

export interface RestTargetOptions extends RestPlace {
  /** A call without progress for this time fails. Milliseconds. */
  readonly timeoutMs: number;
}

const FILE_EXISTS = -1886;
const MD5 = /^[0-9a-f]{32}$/i;

/** Bodies need their MD5. */
export function createRestTarget(options: RestTargetOptions): Target {
  // The runner retries, and adapts its rate.
  const client = createClient({ ...options, retries: 0 });
  return {
    isNear: false,
    async look(fileid, signal) {
      const found = await client.stat(fileid, { signal });
      if (found === undefined) return { state: "absent" };
      const md5 = MD5.test(found.md5) ? found.md5.toLowerCase() : undefined;
      return { state: "object", size: found.size, md5, sha256: undefined, validators: undefined };
    },
    async put({ info: { key: fileid }, body: { content, hashes, size }, signal }) {
      try {
        await client.upload(content.kind === "buffer" ? content.buffer : content.path, { fileid, signal });
        return "stored";
      } catch (error) {
        if (!(error instanceof HuiyuanClientError) || error.code !== FILE_EXISTS) throw error;
        const found = await client.stat(fileid, { signal });
        return found !== undefined && found.md5 === hashes.md5 && found.size === size ? "same" : "differs";
      }
    },
    async read(fileid, take, signal) {
      const found = await client.stat(fileid, { signal });
      if (found === undefined) return false;
      const sign = encodeURIComponent(client.sign({ operation: "download", fileid }));
      await download(`${found.downloadUrl}?sign=${sign}`, take, signal);
      return true;
    },
  };
}

/** Throws network_failed, and the signal's reason. */
async function download(url: string, take: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  let httpStatus = 0;
  try {
    const response = await fetch(url, { signal });
    httpStatus = response.status;
    if (response.body === null || !response.ok) throw new Error(`Cannot download: status ${httpStatus}`);
    for await (const chunk of response.body) take(chunk);
  } catch (error) {
    signal.throwIfAborted();
    throw transportError("network_failed", (error as Error).message, { httpStatus, cause: error });
  }
}
