// A stored upload as reported to a business server, and the outbox of a folder.

import { type Log, SILENT_LOG } from "../../src/core/log.ts";
import { createLedgers } from "../../src/ledger/ledger.ts";
import type { Uploaded } from "../../src/serve/upload/callback/callback.ts";
import { createOutbox, OUTBOX_PLAN, type Outbox } from "../../src/serve/upload/callback/outbox.ts";

export const UPLOADED: Uploaded = {
  appid: "10001234",
  bucket: "photos",
  fileid: "2015/07/a b&c=一.jpg",
  magicContext: '{"user":"甲 & 乙"}',
  sha1: "da39a3ee5e6b4b0d3255bfef95601890afd80709",
  size: 51_200,
  url: "http://img.example.com/2015/07/a%20b%26c%3D%E4%B8%80.jpg",
  userid: "0",
  requestId: "0123456789abcdef-1",
};

export function openOutbox(dir: string, log: Log = SILENT_LOG): { readonly outbox: Outbox; close(): Promise<void> } {
  const ledgers = createLedgers({ dir, log });
  return { outbox: createOutbox(ledgers.open(OUTBOX_PLAN)), close: ledgers.close };
}
