// The bytes of images that wait for their turn to be rendered: read when it comes, and brought here before it where they lie
// in a far store.
import type { PrefetchedBytes } from "../../image/render-origin.ts";

/** All of an image, for whoever has to wait for a turn before it is read. */
export interface ImageBytes {
  readonly load: () => Promise<Buffer>;
  /** Before that turn, so that nobody waits for a far store in it. Undefined: `load` will do. Throws as `load`. */
  readonly bring?: (() => Promise<HeldBytes | undefined>) | undefined;
}

/** They stay here until they are released. */
export interface HeldBytes {
  load(): Promise<Buffer>;
  release(): void;
}

/** The original and its marks, all at once. */
export async function bringAll(
  original: ImageBytes,
  watermarks: ReadonlyMap<string, { readonly bytes: ImageBytes }>,
): Promise<PrefetchedBytes> {
  const urls = [...watermarks.keys()];
  const images = [original, ...[...watermarks.values()].map(({ bytes }) => bytes)];
  const comings = await Promise.allSettled(images.map(({ bring }) => bring?.()));
  const held = comings.map((coming) => (coming.status === "fulfilled" ? coming.value : undefined));
  const release = () => {
    for (const each of held) each?.release();
  };
  const failure = comings.find((coming) => coming.status === "rejected");
  if (failure !== undefined) {
    release();
    throw failure.reason;
  }
  const loads = images.map(({ load }, index) => held[index]?.load ?? load);
  const [load = original.load] = loads;
  return { load, loadImage: async (url) => loads[urls.indexOf(url) + 1]?.(), release };
}
