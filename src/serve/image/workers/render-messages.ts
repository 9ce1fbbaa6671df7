// The messages between the server and a render process, and their form on the socket: a head in JSON, followed by the
// raw bytes, so that only the kernel copies an image. It opens no socket and starts no process.

import type { HuiyuanError } from "../../../core/errors.ts";
import { bodyRoom, HEAD_ROOM_BYTES, placeBehindRoom } from "../../body/head-room.ts";
import type { PipelineRequest } from "../process/pipeline.ts";

/**
 * One at a time; the next is sent after the reply. The image's bytes follow, unless the process has them already; then
 * the bytes of the watermarks.
 */
export interface RenderCommand extends Pick<PipelineRequest, "facts" | "recipe" | "limits"> {
  readonly imageBytes: number;
  /** The process still has the image from the previous command; it has at most SHARED_BYTES. */
  readonly isHeld: boolean;
  readonly watermarks: readonly { readonly url: string; readonly bytes: number }[];
}

type Refusal = Pick<HuiyuanError, "code" | "message"> & Partial<Pick<HuiyuanError, "parameter" | "wanted">>;

export type FromProcess =
  | { readonly kind: "ready" }
  /** The result's bytes follow. `residentBytes`: memory of the process afterwards. */
  | { readonly kind: "rendered"; readonly residentBytes: number }
  | ({ readonly kind: "refused"; readonly residentBytes: number } & Refusal)
  /** The last message of a process: the render needs more memory than the limit. */
  | { readonly kind: "exhausted" };

/** The command-line arguments of a process: bytes of memory that it may have. */
export type ProcessArguments = readonly [maxResidentBytes: string];

/** The descriptor of the socket in the render process. */
export const SOCKET = 3;

/**
 * Bytes of the buffer that a process uses again for each smaller image; a new buffer each time would become garbage.
 */
export const SHARED_BYTES = 4 * 1024 * 1024;

/** Lengths of head and body, 4 bytes each, big-endian. */
export const PREFIX_BYTES = 8;

/** The parts of a message, in the order in which they are written. */
export function frameOf(head: RenderCommand | FromProcess, bodies: readonly Buffer[] = []): readonly Buffer[] {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const first = Buffer.allocUnsafe(PREFIX_BYTES + headBytes);
  first.writeUInt32BE(headBytes, 0);
  first.writeUInt32BE(
    bodies.reduce((sum, { length }) => sum + length, 0),
    4,
  );
  first.write(text, PREFIX_BYTES);
  return [first, ...bodies];
}

/**
 * Assembles messages from chunks and calls `onMessage` with each. The bytes of a body are copied once, into a buffer of
 * their own with room for a response head.
 */
export function createFrameReader(onMessage: (head: FromProcess, body: Buffer) => void): (chunk: Buffer) => void {
  let begun: Buffer = Buffer.alloc(0);
  let message: { readonly head: FromProcess; readonly body: Buffer; filled: number } | undefined;

  /** Consumes the bytes of the current message and returns the rest. */
  function take(chunk: Buffer): Buffer {
    if (message !== undefined) {
      const copied = chunk.copy(message.body, message.filled);
      message.filled += copied;
      return chunk.subarray(copied);
    }
    const all = begun.length === 0 ? chunk : Buffer.concat([begun, chunk]);
    const bodyAt = all.length < PREFIX_BYTES ? Number.POSITIVE_INFINITY : PREFIX_BYTES + all.readUInt32BE(0);
    if (all.length < bodyAt) {
      begun = all;
      return all.subarray(all.length);
    }
    begun = Buffer.alloc(0);
    const head = JSON.parse(all.toString("utf8", PREFIX_BYTES, bodyAt)) as FromProcess; // our own format
    const bodyBytes = all.readUInt32BE(4);
    message = { head, body: placeBehindRoom(bodyRoom(HEAD_ROOM_BYTES + bodyBytes), bodyBytes), filled: 0 };
    return all.subarray(bodyAt);
  }

  return (chunk) => {
    for (let rest = chunk; rest.length > 0; ) {
      rest = take(rest);
      if (message === undefined || message.filled < message.body.length) continue;
      const { head, body } = message;
      message = undefined;
      onMessage(head, body);
    }
  };
}

export function requestFrame(
  { bytes, facts, recipe, limits, watermarks }: PipelineRequest,
  isHeld: boolean,
): readonly Buffer[] {
  const head: RenderCommand = {
    ...{ facts, recipe, limits, isHeld },
    imageBytes: bytes.length,
    watermarks: [...watermarks].map(([url, watermark]) => ({ url, bytes: watermark.length })),
  };
  return frameOf(head, isHeld ? [...watermarks.values()] : [bytes, ...watermarks.values()]);
}

/** `watermarksBody`: the bytes of all watermarks, one after the other. */
export function requestOf(
  { facts, recipe, limits, watermarks }: RenderCommand,
  bytes: Buffer,
  watermarksBody: Buffer,
): PipelineRequest {
  let at = 0;
  const files = watermarks.map(({ url, bytes: length }) => {
    at += length;
    return [url, watermarksBody.subarray(at - length, at)] as const;
  });
  return { ...{ bytes, facts, recipe, limits }, watermarks: new Map(files) };
}
