// Loading code and starting create much garbage at once. V8 would grow its young generation by 16 MB for that, and it
// never shrinks it.
import { setFlagsFromString } from "node:v8";

/** `false` sets V8's default again: under load a larger young generation pays off. */
export function keepYoungGenerationSmall(isKept: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${isKept ? 1 : 2}`);
}
