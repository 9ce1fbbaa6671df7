// A bucket behind a REST API as the target of a migration, by the SDK's calls. An upload never replaces: if the name is
// taken (-1886), the MD5 of the object there decides whether it is the same.
import { HuiyuanClientError } from "../../../client/api/client-error.ts";
import { createClient } from "../../../client/client.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { RestPlace, ToolOptions } from "../config/config.ts";
import type { Target, TargetState } from "../target.ts";

const FILE_EXISTS = -1886;
/** The project, its key or the bucket is unknown or disabled, or the key is another one. */
const REFUSES_ALL: ReadonlySet<number> = new Set([-64, -79, -82, -97, -1894]);
const MD5 = /^[0-9a-f]{32}$/i;

/** Bodies need their MD5. Its methods also throw settings_invalid. */
export function createRestTarget(options: RestPlace & Pick<ToolOptions, "timeoutMs">): Target {
  // The runner retries, and adapts its rate.
  const client = createClient({ ...options, retries: 0 });

  async function look(fileid: string, signal: AbortSignal): Promise<TargetState> {
    const found = await client.stat(fileid, { signal }).catch(refuse);
    if (found === undefined) return { state: "absent" };
    const md5 = MD5.test(found.md5) ? found.md5.toLowerCase() : undefined;
    return { state: "object", size: found.size, md5, validators: undefined };
  }

  return {
    isNear: false,
    look,
    async put({ info: { key: fileid }, body: { content, hashes, size }, signal }) {
      try {
        await client.upload(content.kind === "buffer" ? content.buffer : content.path, { fileid, signal });
        return "stored";
      } catch (error) {
        if (!(error instanceof HuiyuanClientError) || error.code !== FILE_EXISTS) return refuse(error);
        const found = await look(fileid, signal);
        return found.state === "object" && found.md5 === hashes.md5 && found.size === size ? "same" : "differs";
      }
    },
  };
}

function refuse(error: unknown): never {
  if (!(error instanceof HuiyuanClientError) || !REFUSES_ALL.has(error.code)) throw error;
  const next = "check endpoint, appid, bucket, secretID and secretKey of appinfo";
  throw new HuiyuanError("settings_invalid", `The target refuses the credentials: ${error.message}; ${next}`);
}
