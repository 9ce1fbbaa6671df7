// A bucket behind a REST API as the target of a migration, by the SDK's calls. An upload never replaces: if the name is
// taken (-1886), the MD5 of the object there decides whether it is the same.

import type { WholeBody } from "../../body/spool/spool.ts";
import { HuiyuanClientError } from "../../client/api/client-error.ts";
import { type Client, createClient } from "../../client/client.ts";
import type { RestPlace } from "../config/config.ts";
import { type Target, TargetRefusal } from "../target.ts";

export interface RestTargetOptions extends RestPlace {
  /** A call without progress for this time fails. Milliseconds. */
  readonly timeoutMs: number;
}

const FILE_EXISTS = -1886;
/** No usable answer, as the old tool counts it. */
const NO_ANSWER = -2;
const MD5 = /^[0-9a-f]{32}$/i;

/** Bodies need their MD5. */
export function createRestTarget({ timeoutMs, ...place }: RestTargetOptions): Target {
  // The runner retries, and adapts its rate.
  const client = createClient({ ...place, timeoutMs, retries: 0 });
  return {
    canReplace: false,
    isNear: false,
    async look(fileid, signal) {
      const found = await refusing(() => client.stat(fileid, { signal }));
      if (found === undefined) return { state: "absent" };
      const md5 = MD5.test(found.md5) ? found.md5.toLowerCase() : undefined;
      return { state: "object", size: found.size, md5, sha256: undefined, validators: undefined };
    },
    async put({ info: { key: fileid }, body, signal }) {
      try {
        await refusing(() => upload(client, fileid, body, signal));
        return "stored";
      } catch (error) {
        if (!(error instanceof TargetRefusal) || error.code !== FILE_EXISTS) throw error;
        const found = await refusing(() => client.stat(fileid, { signal }));
        if (found !== undefined && found.md5 === body.hashes.md5 && found.size === body.size) return "same";
        throw error;
      }
    },
    async read(fileid, take, signal) {
      const found = await refusing(() => client.stat(fileid, { signal }));
      if (found === undefined) return false;
      const sign = encodeURIComponent(client.sign({ operation: "download", fileid }));
      await download(`${found.downloadUrl}?sign=${sign}`, take, signal);
      return true;
    },
    close: async () => undefined,
  };
}

function upload(client: Client, fileid: string, { content }: WholeBody, signal: AbortSignal): Promise<unknown> {
  return client.upload(content.kind === "buffer" ? content.buffer : content.path, { fileid, signal });
}

/** Turns an error of the SDK into the text of the old tool. */
async function refusing<Result>(call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof HuiyuanClientError) || error.name === "argument_invalid") throw error;
    const { code, httpStatus = 0, serviceMessage, message } = error;
    throw new TargetRefusal({ code, httpStatus, text: serviceMessage ?? message });
  }
}

/** Throws TargetRefusal, and the signal's reason. */
async function download(url: string, take: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  let httpStatus = 0;
  try {
    const response = await fetch(url, { signal });
    httpStatus = response.status;
    if (response.body === null || !response.ok) throw new Error(`Cannot download: status ${httpStatus}`);
    for await (const chunk of response.body) take(chunk);
  } catch (error) {
    signal.throwIfAborted();
    throw new TargetRefusal({ code: NO_ANSWER, httpStatus, text: (error as Error).message });
  }
}
