// Second part of the contact sheet: formats, quality, colours, and animated pictures.
import { colour, mark, on, type Section, text } from "./sheet.ts";

const SMALL = "imageView2/2/w/400";

export const COLOURS: readonly Section[] = [
  {
    title: "Formats",
    examples: [
      ...on(
        "chart.png",
        ["jpg", "yjpeg", "png", "gif", "webp", "avif", "bmp"].map((format) => `imageView2/2/w/500/format/${format}`),
      ),
      ...on(
        "clear.png",
        ["jpg", "gif", "webp", "avif", "bmp"].map((format) => `imageView2/2/w/400/format/${format}`),
      ),
      ...on("aurora.avif", [SMALL, `${SMALL}/format/jpg`]),
      ...on("dunes.webp", [SMALL, `${SMALL}/format/png`]),
      ...on("chart.bmp", [SMALL, `${SMALL}/format/jpg`]),
      ...on("moving.gif", [`${SMALL}/format/jpg`, `${SMALL}/format/png`]),
      {
        source: "pond.jpg",
        instruction: `${SMALL}/format/auto`,
        accept: "image/avif,image/webp,*/*",
        note: "Accept: AVIF and WebP",
      },
      { source: "pond.jpg", instruction: `${SMALL}/format/auto`, accept: "image/webp,*/*", note: "Accept: WebP" },
      { source: "pond.jpg", instruction: `${SMALL}/format/auto`, accept: "*/*", note: "Accept: anything" },
      { source: "clear.webp", instruction: `${SMALL}/format/auto`, accept: "*/*", note: "clear, so PNG" },
      {
        source: "moving.gif",
        instruction: `${SMALL}/format/auto`,
        accept: "image/avif,image/webp",
        note: "moving, so WebP",
      },
    ],
  },
  {
    title: "imageMogr2/bright, contrast, grayscale",
    examples: on("garden.jpg", [
      "imageMogr2/thumbnail/800x/bright/30",
      "imageMogr2/thumbnail/800x/contrast/30",
      "imageMogr2/thumbnail/800x/grayscale/1",
    ]),
  },
  {
    title: "Quality, interlace, size-limit",
    examples: [
      ...on("garden.jpg", [
        SMALL,
        ...["q/10!", "q/40!", "q/75!", "q/95!"].map((quality) => `${SMALL}/${quality}`),
        [`${SMALL}/q/95`, "at most the source's own: 82"],
        `${SMALL}/rq/50`,
        `${SMALL}/lq/95`,
        `${SMALL}/format/webp/q/10!`,
        `${SMALL}/format/webp/q/75!`,
        `${SMALL}/format/avif/q/20!`,
        `${SMALL}/format/avif/q/60!`,
        [`imageMogr2/thumbnail/400x/quality/60/interlace/1`, "progressive"],
        `imageMogr2/thumbnail/400x/rquality/70`,
        `imageMogr2/thumbnail/400x/lquality/90`,
        [`imageMogr2/thumbnail/800x/size-limit/30k`, "at most 30720 bytes"],
        [`imageMogr2/thumbnail/800x/size-limit/9m!`, "or the original, where that is smaller"],
      ]),
    ],
  },
  {
    title: "Colours",
    examples: [
      ...on("cmyk.jpg", [[SMALL, "CMYK: same colours as the chart"], `${SMALL}/format/png`]),
      ...on("wide-gamut.jpg", [[SMALL, "Display P3 becomes sRGB, looks alike"]]),
      ...on("grey.jpg", [
        SMALL,
        [text("红 red", `/fontsize/40/fill/${colour("red")}`), "red on grey stays red"],
        "imageMogr2/rradius/80/format/png",
      ]),
      ...on("grey16.png", [SMALL, [`imageMogr2/rotate/20`]]),
      ...on("sixteen.png", [SMALL, "imageMogr2/blur/5x3"]),
      ...on("palette.png", [SMALL, "imageMogr2/rotate/20"]),
      ...on("clear.png", [
        [SMALL, "no dark edges around white, no light ones around black"],
        "imageMogr2/thumbnail/!20p",
        "imageMogr2/thumbnail/!200p",
      ]),
    ],
  },
  {
    title: "Moving pictures",
    examples: [
      ...on("moving.gif", [
        "imageView2/2/w/200",
        "imageMogr2/gravity/east/crop/150x150",
        ["imageMogr2/rotate/90"],
        "imageMogr2/rotate/30",
        "imageMogr2/cgif/4",
        "imageView2/2/w/200/format/webp",
        text("动图 moving", `/fontsize/24/fill/${colour("white")}/gravity/north/dy/10`),
        `${mark()}/gravity/southeast/dx/10/dy/10/dissolve/60`,
        `${mark()}/batch/1/dissolve/30/dx/10/dy/10`,
        ["imageMogr2/blur/10x5", "a GIF stays as it is"],
        `imageMogr2/thumbnail/300x300/pad/1/color/${colour("#222222")}`,
      ]),
      ...on("moving.webp", [
        "imageView2/2/w/200",
        "imageMogr2/blur/10x5",
        "imageView2/2/w/200/format/gif",
        "imageMogr2/rotate/45",
        "imageMogr2/iradius/100",
      ]),
      ...on("snowfall.webp", [
        ["imageMogr2/thumbnail/300x/blur/20x8", "no frame sees the edge of the next"],
        "imageMogr2/sharpen/300",
      ]),
      ...on("snowfall.gif", ["imageView2/2/w/240", "imageMogr2/thumbnail/240x/cgif/5", "imageMogr2/sharpen/70"]),
    ],
  },
];
