// Writes PNG chunks, and a colour profile that no encoder here writes. For tests only.
import { crc32, deflateSync } from "node:zlib";

/** One PNG chunk. */
export function pngChunk(type: string, payload: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), payload]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(payload.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}

/** A grey profile with this gamma: the header, white point and curve that ICC.1 requires. */
function greyProfile(gamma: number): Buffer {
  const tags: readonly (readonly [name: string, content: Buffer])[] = [
    ["wtpt", Buffer.from("58595a20000000000000f6d6000100000000d32d", "hex")],
    ["kTRC", Buffer.from(`6375727600000000000000010${Math.round(gamma * 256).toString(16)}0000`, "hex")],
    ["desc", Buffer.from(`6465736300000000${"00000002"}4700${"00".repeat(78)}`, "hex")],
    ["cprt", Buffer.from("746578740000000078000000", "hex")],
  ];
  const head = Buffer.alloc(128);
  head.write("\x02\x10\0\0mntrGRAYXYZ ", 8, "latin1");
  head.write("acsp", 36, "latin1");
  Buffer.from("0000f6d6000100000000d32d", "hex").copy(head, 68);
  const table = Buffer.alloc(4 + 12 * tags.length);
  table.writeUInt32BE(tags.length, 0);
  let at = head.length + table.length;
  for (const [index, [name, content]] of tags.entries()) {
    table.write(name, 4 + 12 * index, "latin1");
    table.writeUInt32BE(at, 8 + 12 * index);
    table.writeUInt32BE(content.length, 12 + 12 * index);
    at += content.length;
  }
  head.writeUInt32BE(at, 0);
  return Buffer.concat([head, table, ...tags.map(([, content]) => content)]);
}

/** Adds a grey profile with this gamma to the PNG. */
export function withGreyProfile(png: Buffer, gamma: number): Buffer {
  const afterHead = 33;
  const profile = Buffer.concat([Buffer.from("grey\0\0", "latin1"), deflateSync(greyProfile(gamma))]);
  return Buffer.concat([png.subarray(0, afterHead), pngChunk("iCCP", profile), png.subarray(afterHead)]);
}
