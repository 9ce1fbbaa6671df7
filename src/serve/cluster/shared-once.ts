// One-time tokens of a cluster: each is spent by a marker in the remote store, which only one node can put. So a token
// is spent once also after Valkey has lost everything. Markers have the day of issue in their names; nothing removes
// them here.
import { hash, randomUUID } from "node:crypto";
import { withTimeout } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { RemoteStore } from "../bucket/remote/remote.ts";
import type { OnceLedger } from "../sign/once.ts";

/** No bucket can have this name. */
const FOLDER = ".huiyuan-once";

/** `local`: refuses what this node knows as spent, without a request. spend() throws sign_unknown as well. */
export function createSharedOnce(local: OnceLedger, remote: Pick<RemoteStore, "bucket">): OnceLedger {
  return {
    isSpent: local.isSpent,
    async spend(token, now) {
      if (local.isSpent(token, now)) return false;
      const { secretId, mac, issuedAt } = token;
      const day = new Date(1_000 * Math.min(issuedAt, LAST_SECOND)).toISOString().slice(0, 10);
      const key = hash("sha256", `${secretId}\n${Buffer.from(mac).toString("hex")}`) as Key;
      // By its id a retry of this request recognizes its own marker.
      const marker = { deletedAt: 1_000 * now, reason: randomUUID() };
      const message = "Cannot find out whether the one-time token was used: S3 does not answer";
      const putting = remote.bucket(`${FOLDER}/${day}`).putTombstone(key, marker, { when: "absent" });
      const isFirst = await withTimeout(WAIT_MS, putting, message).catch((cause: unknown) => {
        throw new HuiyuanError("sign_unknown", message, { cause, retryAfterSeconds: RETRY_SECONDS });
      });
      // A failure here costs another request to S3, which refuses as well.
      await local.spend(token, now).catch(() => false);
      return isFirst;
    },
  };
}

const RETRY_SECONDS = 5;
/** A marker that is put later refuses the retry of the request, as a lost answer does. */
const WAIT_MS = 5_000;
/** The end of the year 9999. */
const LAST_SECOND = 253_402_300_799;
