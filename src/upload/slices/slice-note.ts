// What is written down of an upload in slices, so that it goes on after a restart: a note beside its bytes. Pure.
import { isKey, type Key } from "../../core/object.ts";

/** What the client announced, and what was agreed. */
export interface SliceOrder {
  readonly appid: string;
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  /** As the URL says; undefined: the server makes it. */
  readonly requested: Key | undefined;
  readonly fileid: Key;
  /** Of the whole image, lower-case hex. */
  readonly sha1: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes; the last slice may be shorter. */
  readonly sliceSize: number;
  readonly magicContext: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
}

/** `arriving`; `storing`: the image was given to the bucket, which may have taken it; `stored`: it has. */
export type SlicePhase = "arriving" | "storing" | "stored";

export interface SliceNote {
  readonly order: SliceOrder;
  readonly phase: SlicePhase;
}

const PHASES: readonly string[] = ["arriving", "storing", "stored"] satisfies readonly SlicePhase[];

/** Undefined for what is no note: torn by a crash, or somebody else's. */
export function readNote(text: string): SliceNote | undefined {
  let note: { order: Record<keyof SliceOrder, unknown>; phase: unknown };
  try {
    note = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { order, phase } = note ?? {};
  const isNote =
    typeof order === "object" &&
    order !== null &&
    PHASES.includes(String(phase)) &&
    [order.appid, order.bucketId, order.magicContext].every((value) => typeof value === "string") &&
    [order.size, order.sliceSize].every((value) => Number.isSafeInteger(value) && Number(value) > 0) &&
    Number.isFinite(order.startedAt) &&
    /^[0-9a-f]{40}$/.test(String(order.sha1)) &&
    isKey(String(order.fileid)) &&
    (order.requested === undefined || order.requested === order.fileid);
  // Each field was looked at on the lines above.
  return isNote ? (note as unknown as SliceNote) : undefined;
}

export function writeNote({ order, phase }: SliceNote): Buffer {
  return Buffer.from(JSON.stringify({ order, phase }));
}
