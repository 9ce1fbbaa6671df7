// Decides whether a 404 comes from S3, and so means that there is no such object. Any other 404 is a failure.
import { randomUUID } from "node:crypto";
import type { HuiyuanError } from "../../../core/errors.ts";
import { isRetryable } from "./answers.ts";

/** The response to a GET for the first byte of an object. */
export interface FirstByte {
  readonly status: number;
  /** Undefined if the body is no error document. */
  readonly code: string | undefined;
  readonly hasId: boolean;
}

export interface NotFoundParts {
  /** Throws a retryable store_failed without a response. */
  readonly firstByte: (name: string) => Promise<FirstByte>;
  /** Prefix of the names of all objects. */
  readonly prefix: string;
  readonly unexpectedReply: (action: string, status: number) => HuiyuanError;
}

export function createNotFoundRule({ firstByte, prefix, unexpectedReply }: NotFoundParts) {
  let learning: Promise<boolean> | undefined;

  async function findId(): Promise<boolean> {
    const { status, code, hasId } = await firstByte(`${prefix}.huiyuan-probe/${randomUUID()}`);
    // S3 refuses the request, so it shows nothing: only a request id counts then.
    if (status !== 404 && code !== undefined && !isRetryable(status, code)) return true;
    if (!hasId && code !== "NoSuchKey") throw unexpectedReply("look for an absent object", status);
    return hasId;
  }

  /**
   * Finds out once, from an absent object, whether this S3 sends a request id with a 404. Throws a retryable
   * store_failed if a proxy or nobody answered; then the next call tries again.
   */
  function learn(): Promise<boolean> {
    learning ??= findId().catch((error: unknown) => {
      learning = undefined;
      throw error;
    });
    return learning;
  }

  return {
    learn,
    /** True with a request id. An S3 that sends none must say NoSuchKey. Throws as `learn`. */
    async isFromS3(
      { method, name = "" }: { readonly method: string; readonly name?: string },
      { hasId, code }: { readonly hasId: boolean; readonly code: string },
    ): Promise<boolean> {
      if (hasId) return true;
      if (await learn()) return false;
      // The response to a HEAD has no body with a code.
      return (method === "HEAD" ? (await firstByte(name)).code : code) === "NoSuchKey";
    },
  };
}
