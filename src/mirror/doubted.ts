// Images whose connection brought bytes that nobody asked for: each may be another one's.
import type { Log } from "../log.ts";
import type { ObjectInfo } from "../object.ts";
import type { Doubt } from "../origin/connection.ts";
import type { Stored } from "./stored.ts";

/**
 * A version that has come meanwhile is dropped too, and fetched again. Of the task only its name is kept: a doubt lives as long as
 * its connection.
 */
export function dropWhenRaised(
  doubt: Doubt,
  { stored, info: { key } }: { readonly stored: Stored; readonly info: ObjectInfo },
  log: Log,
): void {
  doubt.onRaised(() => {
    const about = { bucket: stored.bucketId, key };
    log.warn(about, "dropped an image: its connection brought bytes that nobody asked for, so it may be another one's");
    stored.purge(key, { hard: true }).catch((err: unknown) => log.error({ ...about, err }, "could not drop it"));
  });
}
