// The bytes of images that wait for a render slot: read once they have one. If they are in a remote store, they are
// downloaded before, so that no slot waits for the network. It renders nothing.
import type { PrefetchedBytes } from "../../image/render-origin.ts";

/** The bytes of one image that will be read later. */
export interface ImageBytes {
  readonly load: () => Promise<Buffer>;
  /**
   * Downloads the whole image first, so that no render slot waits for a remote store. Undefined: use `load`. Throws as
   * `load`.
   */
  readonly download?: (() => Promise<HeldBytes | undefined>) | undefined;
}

/** Downloaded bytes; they stay on this server until they are released. */
export interface HeldBytes {
  load(): Promise<Buffer>;
  release(): void;
}

/** Downloads the original and its watermarks at the same time. */
export async function downloadAll(
  original: ImageBytes,
  watermarks: ReadonlyMap<string, { readonly bytes: ImageBytes }>,
): Promise<PrefetchedBytes> {
  const urls = [...watermarks.keys()];
  const images = [original, ...[...watermarks.values()].map(({ bytes }) => bytes)];
  const downloads = await Promise.allSettled(images.map(({ download }) => download?.()));
  const held = downloads.map((result) => (result.status === "fulfilled" ? result.value : undefined));
  const release = () => {
    for (const each of held) each?.release();
  };
  const failure = downloads.find((result) => result.status === "rejected");
  if (failure !== undefined) {
    release();
    throw failure.reason;
  }
  const loads = images.map(({ load }, index) => held[index]?.load ?? load);
  const [load = original.load] = loads;
  return { load, loadImage: async (url) => loads[urls.indexOf(url) + 1]?.(), release };
}

/** The same bytes, and whether they have been read: clients that join a render share the bytes of one of them. */
export function watchReads(watched: ImageBytes): { readonly bytes: ImageBytes; readonly isRead: () => boolean } {
  let isRead = false;
  const recording =
    <Bytes>(read: () => Promise<Bytes>) =>
    () => {
      isRead = true;
      return read();
    };
  const { load, download } = watched;
  return { bytes: { load: recording(load), download: download && recording(download) }, isRead: () => isRead };
}
