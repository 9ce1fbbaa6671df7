// The bytes of images that wait for a render slot: read once they have one. If they are in a remote store, they are
// downloaded before, so that no slot waits for the network. It renders nothing.

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

/** The images that one client brings to a render. */
export interface RenderImages {
  /** The original. */
  readonly bytes: ImageBytes;
  /** By URL without its token. */
  readonly watermarks: ReadonlyMap<string, { readonly bytes: ImageBytes }>;
}

export interface PrefetchedImages extends HeldBytes {
  /** Undefined: no watermark has this URL. */
  loadImage(url: string): Promise<Buffer | undefined>;
}

/** Whether an image has to be downloaded before it can be read. */
export function isRemote({ bytes, watermarks }: RenderImages): boolean {
  return bytes.download !== undefined || [...watermarks.values()].some((mark) => mark.bytes.download !== undefined);
}

/**
 * Downloads the original and its watermarks at the same time. They stay on this server until they are released, even if
 * the client leaves.
 */
export async function downloadAll({ bytes, watermarks }: RenderImages): Promise<PrefetchedImages> {
  const urls = [...watermarks.keys()];
  const images = [bytes, ...[...watermarks.values()].map((mark) => mark.bytes)];
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
  const [load = bytes.load] = loads;
  return {
    load,
    loadImage: async (url) => loads[urls.indexOf(url) + 1]?.(),
    release,
  };
}
