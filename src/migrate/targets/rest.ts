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
      return { state: "object", size: found.size, md5: found.md5, sha256: undefined, validators: undefined };
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
