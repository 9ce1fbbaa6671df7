// A running server's bucket as the target of a migration, over its admin API. The server settles every put, as
// targets/store.ts does in this process.
import { openAsBlob } from "node:fs";
import { HuiyuanError } from "../../../core/errors.ts";
import { type StatAnswer, showObject } from "../../images/contract.ts";
import { storeContent } from "../contract.ts";
import { type PutOutcome, type PutRequest, type SendToAdmin, stateOf, type Target } from "../target.ts";

/** A longer URL of the source is not recorded, because the server bounds the head of a request. Characters. */
const MAX_URL = 6_000;

/** `bucket`: `<appid>/<name>`. */
export function createAdminTarget(send: SendToAdmin, bucket: string): Target {
  async function call<Answer>(path: string, fields: object, init: RequestInit): Promise<Answer> {
    const given = Object.entries(fields).filter(([, value]) => value !== undefined);
    const answer = await send(`/api/v1${path}?${new URLSearchParams(given)}`, init).catch((cause: unknown) => {
      init.signal?.throwIfAborted();
      throw new HuiyuanError("store_failed", "the server does not answer any more", { cause });
    });
    const value = (await answer.json().catch(() => ({}))) as { readonly message?: string };
    // The answer is not checked against its schema.
    if (answer.ok) return value as Answer;
    throw refusal(answer.status, value.message);
  }

  return {
    isNear: true,
    async look(key, signal) {
      // The call would take it for a download URL. put() settles it.
      if (/^https?:\/\//i.test(key)) return { state: "absent" };
      const { state, failure, object } = await call<StatAnswer>(showObject.path, { bucket, name: key }, { signal });
      if (state === "tombstone") return { state: "deleted" };
      if (failure !== undefined) throw new HuiyuanError("store_failed", `the server's store failed: ${failure}`);
      return object === undefined ? { state: "absent" } : stateOf(object);
    },
    async readSha256(key, signal) {
      const query = { bucket, name: key, read: true };
      const { object, readSha256 } = await call<StatAnswer>(showObject.path, query, { signal });
      if (object !== undefined && readSha256 === undefined)
        throw new HuiyuanError("store_corrupt", `Cannot read "${key}": its stored bytes are damaged`);
      return readSha256;
    },
    async put(request) {
      const { content } = request.body;
      const body = content.kind === "buffer" ? content.buffer : await openAsBlob(content.path);
      const init = { method: "PUT", body, signal: request.signal };
      return (await call<{ outcome: PutOutcome }>(storeContent.path, fieldsOf(request, bucket), init)).outcome;
    },
  };
}

function fieldsOf({ info, replace }: PutRequest, bucket: string): object {
  const { key, hashes, headers, isSuspect, provenance } = info;
  const { originUrl = "", originEtag, originLastModified } = provenance;
  return {
    ...{ bucket, key, sha256: hashes.sha256, replace, originEtag, originLastModified },
    accept: isSuspect ? "suspect" : "whole",
    originUrl: originUrl !== "" && encodeURIComponent(originUrl).length <= MAX_URL ? originUrl : undefined,
    contentDisposition: headers["content-disposition"],
    contentLanguage: headers["content-language"],
  };
}

function refusal(status: number, message = "it is no admin API of huiyuan"): HuiyuanError {
  if (status === 401) return new HuiyuanError("settings_invalid", "the server wants its token: set server.adminToken");
  const code =
    ({ 413: "origin_too_large", 429: "overloaded", 503: "overloaded", 507: "store_full" } as const)[status] ??
    (status >= 500 ? "store_failed" : "request_invalid");
  return new HuiyuanError(code, `the server answered ${status}: ${message}`);
}
