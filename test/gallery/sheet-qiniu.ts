// Last part of the contact sheet: what only the era of Qiniu has.
import { b64 } from "../helpers/rendering.ts";
import { colour, mark, on, type Section } from "./sheet.ts";

export const QINIU: readonly Section[] = [
  {
    title: "grammarEra: qiniu",
    examples: [
      ...on("chart.jpg", [
        ["imageView2/1/w/2000/h/300", "never enlarged: 1000×300"],
        ["imageMogr2/crop/300x300", "plain, upper left"],
        `imageMogr2/extent/1100x600/border/20x20/background/${colour("gray")}/bordercolor/${colour("red")}`,
        [`imageMogr2/rotate/45/background/${colour("yellow")}`, "yellow corners"],
        ["imageMogr2/colors/8/format/png", "8 colours"],
        "imageMogr2/density/300",
        ["imageslim/zlevel/8", "smaller"],
        ["roundPic/radius/!50p", "an ellipse on clear ground"],
        `watermark/3/text/${b64("先")}/fontsize/800/gravity/West/text/${b64("后")}/fontsize/800/gravity/East`,
        [`watermark/4/text/${b64("样")}/fontsize/600/rotate/-30/fill/${colour("red")}/dissolve/50`, "tiles of 100×100"],
        [`${mark()}/ws/0.5`, "half of the short side"],
        "imageInfo",
      ]),
    ].map((example) => ({ ...example, era: "qiniu" })),
  },
];
