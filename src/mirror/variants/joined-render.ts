// Whose fault it is that a render has failed which many have joined: another's departure or lost original is no reason to fail
// for those who are still there and have the bytes.
import { HuiyuanError } from "../../core/errors.ts";
import type { VariantRequest } from "./variants.ts";

/** The same request, and whether its own bytes have been asked for: of all who join a render those of one are. */
export function watchingReads(asked: VariantRequest): {
  readonly request: VariantRequest;
  readonly isRead: () => boolean;
} {
  let isRead = false;
  const noting =
    <Bytes>(read: () => Promise<Bytes>) =>
    () => {
      isRead = true;
      return read();
    };
  const { load, download } = asked.bytes;
  const bytes = { load: noting(load), download: download && noting(download) };
  return { request: { ...asked, bytes }, isRead: () => isRead };
}

/** Joined a render just as the last who had wanted it left, or one for which another has found that its bytes have gone. */
export function isOthersFault(error: unknown, { signal }: VariantRequest, isRead: boolean): boolean {
  if (!(error instanceof HuiyuanError)) return false;
  return error.code === "client_gone" ? !signal.aborted : error.code === "original_replaced" && !isRead;
}
