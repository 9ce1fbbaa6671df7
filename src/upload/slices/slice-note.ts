// The note of an upload in slices, which is written beside its bytes so that the upload continues after a restart.
// Pure.
import { isKey, type Key } from "../../core/object.ts";

/** The declaration of the client, and the values that the server chose at the start of the upload. */
export interface SliceOrder {
  readonly appid: string;
  /** `<appid>/<bucket>` */
  readonly bucketId: string;
  /** Fileid of the URL; undefined if the server chose one. */
  readonly requested: Key | undefined;
  readonly fileid: Key;
  /** SHA-1 of the whole image, in lower-case hex. */
  readonly sha1: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes; the last slice may be shorter. */
  readonly sliceSize: number;
  readonly magicContext: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
}

/** `arriving`: slices arrive; `storing`: the image is being put and may be durable; `stored`: it is durable. */
export type SlicePhase = "arriving" | "storing" | "stored";

export interface SliceNote {
  readonly order: SliceOrder;
  readonly phase: SlicePhase;
}

const PHASES: readonly string[] = ["arriving", "storing", "stored"] satisfies readonly SlicePhase[];

/** Undefined if the text is no valid note, as after a crash or if another program wrote it. */
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
  // The lines above have checked each field.
  return isNote ? (note as unknown as SliceNote) : undefined;
}

export function writeNote({ order, phase }: SliceNote): Buffer {
  return Buffer.from(JSON.stringify({ order, phase }));
}
