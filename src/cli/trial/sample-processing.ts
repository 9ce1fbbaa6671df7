// The processed pictures of the sample page, with their instructions and URLs. It processes nothing.
import type { SamplePicture } from "./sample-pictures.ts";

/** A processed picture of the site. */
export interface Processed {
  readonly title: string;
  readonly titleZh: string;
  /** The instruction or alias after the picture's URL, unescaped. */
  readonly suffix: string;
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** The alias of the trial's settings. */
export const SAMPLE_ALIAS = { name: "cover", instruction: "imageView2/1/w/480/h/320/format/auto" } as const;

const SIZE = { width: 480, height: 320 };

/** `mirrorUrl`: absolute URL of a picture at the mirror, without a query. */
export function processedSamples(
  pictures: readonly SamplePicture[],
  mirrorUrl: (name: string) => string,
): readonly Processed[] {
  const urlOf = (index: number) => mirrorUrl(pictures[index % Math.max(1, pictures.length)]?.name ?? "");
  const watermark = Buffer.from(urlOf(2)).toString("base64url");
  const examples = [
    { title: "Cut to fit", titleZh: "裁剪", suffix: "?imageView2/1/w/480/h/320" },
    { title: "Round corners", titleZh: "圆角", suffix: "?imageMogr2/crop/480x320/rradius/48/format/webp" },
    {
      title: "A picture as watermark",
      titleZh: "图片水印",
      suffix: `?imageView2/1/w/480/h/320|watermark/1/image/${watermark}/scatype/1/spcent/330/gravity/southeast/dx/16/dy/16`,
    },
    { title: "By an alias", titleZh: "样式别名", suffix: `!${SAMPLE_ALIAS.name}` },
  ];
  return examples.map((example, index) => ({ ...example, ...SIZE, url: urlOf(index + 1) + example.suffix }));
}
