// One body that waits to be written to its bucket, and what can be said of it at any time: its name, whether it is
// still wanted, and whether its bytes still exist. write-back.ts writes it.
import { access } from "node:fs/promises";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { Key } from "../../core/object.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import type { Stored } from "../stored/stored.ts";
import type { Fate } from "./pending-writes.ts";
import type { Fetched } from "./put-fetched.ts";

/** One finished body that is to be written to a bucket. */
export interface WriteBackTask extends Fetched {
  readonly stored: Stored;
  readonly body: WholeBody;
  readonly spool: Pick<Spool, "release">;
  /** Once raised, the body is not stored any more, and the image stored under the key is removed. */
  readonly desync?: OriginAnswer["desync"];
  /** Whether the origin has withdrawn the image since; default: `wanted`. */
  readonly fate?: (() => Fate) | undefined;
}

/** Names the bucket and the key of a body. */
export function idOf(bucketId: string, key: Key): string {
  return `${bucketId}\n${key}`;
}

/** The fate of the body now: by its connection, else by its origin. */
export function fateOf({ desync, fate }: WriteBackTask): Fate {
  return desync?.aborted === true ? "gone" : (fate?.() ?? "wanted");
}

/** False: the store has removed the file, because the disk had refused its bytes; they must be fetched again. */
export async function isStillThere({ content }: WholeBody): Promise<boolean> {
  if (content.kind === "buffer") return true;
  return access(content.path).then(
    () => true,
    () => false,
  );
}
