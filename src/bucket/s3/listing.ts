// Lists one bucket of the S3 store. Tombstones are left out; objects of other tools are included.
import type { Cancellation } from "../../async/cancellation.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { isAfter, type ObjectNames } from "../remote/names.ts";
import type { RemoteBucket, RemoteName } from "../remote/remote.ts";
import { isResult, listPage } from "./answers.ts";
import type { S3Client } from "./client.ts";
import { unexpectedStatus } from "./refusals.ts";
import { mayBeObject } from "./tombstone.ts";

interface PageOptions {
  /** An S3 name, not a key. */
  readonly after: string | undefined;
  readonly size: number;
  readonly signal: Cancellation | undefined;
}

const IDLE_TIMEOUT_MS = 15_000;
const PAGE = 1_000;

/** As RemoteBucket.list. */
export function createS3Listing(client: S3Client, names: ObjectNames): RemoteBucket["list"] {
  async function pageOf(prefix: string, { after, size, signal }: PageOptions) {
    throwIfCancelled(signal);
    const query = { "list-type": "2", "encoding-type": "url", prefix, "max-keys": String(size) };
    const reply = await client.send({
      method: "GET",
      query: after === undefined ? query : { ...query, "start-after": after },
      idleTimeoutMs: IDLE_TIMEOUT_MS,
    });
    if (reply.status >= 300) throw unexpectedStatus("list", prefix, reply.status);
    const answer = await client.text(reply);
    if (!isResult(answer, "ListBucketResult")) throw unexpectedStatus("list", prefix, reply.status);
    const page = listPage(answer);
    const first = page.names[0]?.name;
    // A server that only supports version 1 of listings would send the first page for ever.
    if (after !== undefined && first !== undefined && !isAfter(first, after)) {
      throw new HuiyuanError("store_failed", `Cannot list "${prefix}": S3 ignores start-after, which names the page`);
    }
    return page;
  }

  return async ({ prefix, after, limit, signal }) => {
    const found: RemoteName[] = [];
    let from = after === undefined ? undefined : names.folder + after;
    let isEnd = false;
    let size = Math.min(PAGE, limit + 1);
    while (found.length <= limit && !isEnd) {
      const page = await pageOf(names.folder + prefix, { after: from, size, signal });
      // Any number of the names may be tombstones, so the next page is a full one.
      size = PAGE;
      for (const { name, size, md5 } of page.names) {
        const key = names.keyOf(name);
        if (key !== undefined && mayBeObject(size)) found.push({ key, size, md5 });
      }
      from = page.names.at(-1)?.name;
      isEnd = !page.isTruncated || from === undefined;
    }
    return { names: found.slice(0, limit), isEnd: isEnd && found.length <= limit };
  };
}

function throwIfCancelled(signal: Cancellation | undefined): void {
  if (signal?.aborted) throw new HuiyuanError("client_gone", "Cannot list the bucket: the request was cancelled");
}
