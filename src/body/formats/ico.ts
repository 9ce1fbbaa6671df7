// ICO: the size of the largest picture in the icon's directory. Icons are stored as they are, with no proof of their end.
import { type Findings, type Scan, take } from "./scan.ts";

/** An entry's side of 0 means 256. */
export function* scanIco(findings: Findings): Scan {
  const count = (yield take(6)).readUInt16LE(4);
  for (let entry = 0; entry < count; entry += 1) {
    const bytes = yield take(16);
    const width = bytes.readUInt8(0) || 256;
    const height = bytes.readUInt8(1) || 256;
    if (width * height <= (findings.width ?? 0) * (findings.height ?? 0)) continue;
    findings.width = width;
    findings.height = height;
  }
}
