// The order of a listing: by UTF-8 bytes, as S3 sorts names. Pure.
import type { RemoteName } from "./remote.ts";

/** Both lists in one order. What lies behind the last found must wait until everything before it is known. */
export function merge(
  found: readonly RemoteName[],
  long: readonly RemoteName[],
  { limit, isEnd }: { readonly limit: number; readonly isEnd: boolean },
): { names: readonly RemoteName[]; isEnd: boolean } {
  const last = found.at(-1)?.key;
  const fitting = isEnd || last === undefined ? long : long.filter(({ key }) => !isAfter(key, last));
  const all = [...found, ...fitting].sort((a, b) => (isAfter(a.key, b.key) ? 1 : -1));
  return { names: all.slice(0, limit), isEnd: isEnd && all.length <= limit };
}

export function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}
