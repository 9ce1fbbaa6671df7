// Third part of the contact sheet: watermarks, pipelines, image information, and refusals.
import { b64 } from "../helpers/rendering.ts";
import { colour, GRAVITIES, mark, on, type Section, text } from "./sheet.ts";

export const MARKS: readonly Section[] = [
  {
    title: "watermark/2: text",
    examples: [
      ...on("pond.jpg", [[text("万象优图 Huiyuan"), "13 points, in the south-east, #3D3D3D"]]),
      ...GRAVITIES.flatMap((gravity) =>
        on("chart.jpg", [text("回源 Agfy", `/fontsize/40/fill/${colour("#FFE600")}/gravity/${gravity}/dx/100/dy/50`)]),
      ),
      ...["msyh.ttf", "simsun.ttc", "simhei", "tahoma.ttf", "arial.ttf", "times", "courier", "unknown.ttf"].flatMap(
        (font) =>
          on("chart.jpg", [
            [
              text(
                "骨直刃令回源 Mirror 123，你好！",
                `/font/${b64(font)}/fontsize/48/fill/${colour("white")}/gravity/north/dy/20`,
              ),
              font,
            ],
          ]),
      ),
      ...on("pond.jpg", [
        text("dissolve 30", `/fontsize/120/fill/${colour("white")}/dissolve/30/gravity/center`),
        text("dissolve 100", `/fontsize/120/fill/${colour("white")}/dissolve/100/gravity/center`),
        [text("影子 shadow 0", `/fontsize/120/fill/${colour("white")}/gravity/center`), "no shadow"],
        text("影子 shadow 50", `/fontsize/120/fill/${colour("white")}/shadow/50/gravity/center`),
        text("影子 shadow 100", `/fontsize/120/fill/${colour("white")}/shadow/100/gravity/center`),
        [
          text("turned 转", `/fontsize/120/fill/${colour("white")}/degree/30/batch/1/gravity/center/shadow/80`),
          "turned clockwise",
        ],
        text("45°", `/fontsize/80/fill/${colour("white")}/degree/315/batch/1/gravity/northwest/dx/20/dy/20`),
        text("batch 平铺", `/fontsize/60/fill/${colour("white")}/batch/1/dissolve/40`),
        text("batch 30°", `/fontsize/60/fill/${colour("white")}/batch/1/dissolve/40/degree/330/spacing/100`),
        [
          text("batch dx dy", `/fontsize/60/fill/${colour("white")}/batch/1/spacing/0/dx/100/dy/200`),
          "gaps of 100 and 200",
        ],
        [text("a third of the width", `/scatype/1/spcent/333/fill/${colour("white")}/gravity/center`)],
        [
          text("half of the height", `/scatype/2/spcent/500/fill/${colour("white")}/gravity/center`),
          "clipped at the sides",
        ],
        [text("area 5 %", `/scatype/3/spcent/50/fill/${colour("white")}/gravity/center`)],
        [
          text("long ".repeat(40), `/fontsize/60/fill/${colour("white")}/gravity/center`),
          "wider than the image: clipped",
        ],
        [text("two\nlines 两行", `/fontsize/100/fill/${colour("white")}/gravity/center`), "a line break is a blank"],
        [
          text('<b>&amp; "not" markup</b>', `/fontsize/100/fill/${colour("white")}/gravity/center`),
          "printed as it stands",
        ],
        [
          text("عربي עברית ไทย 한국어 日本語 😀 €", `/fontsize/80/fill/${colour("white")}/gravity/center`),
          "other scripts, as far as fonts are installed",
        ],
        [text("tiny", `/fontsize/1/fill/${colour("white")}/gravity/center`), "one point"],
      ]),
      ...on("clear.png", [text("在透明上", `/fontsize/60/fill/${colour("#aa0000")}/gravity/center/shadow/60`)]),
      ...on("chart.jpg", [
        text("blue", `/fontsize/60/fill/${colour("blue")}`),
        text("#00FF00", `/fontsize/60/fill/${colour("#00FF00")}`),
      ]),
    ],
  },
  {
    title: "watermark/1: images",
    examples: [
      ...GRAVITIES.flatMap((gravity) => on("chart.jpg", [`${mark()}/gravity/${gravity}/dx/100/dy/50`])),
      ...on("chart.jpg", [
        [mark(), "in the south-east"],
        `${mark()}/dissolve/30`,
        `${mark()}/gravity/center/degree/45/batch/1`,
        [`${mark()}/scatype/1/spcent/500/gravity/center`, "half of the width"],
        `${mark()}/scatype/2/spcent/500/gravity/center`,
        `${mark()}/scatype/3/spcent/100/gravity/center`,
        `${mark()}/batch/1`,
        `${mark()}/batch/1/dx/40/dy/20/dissolve/50/degree/330`,
        [`${mark("large-logo.png")}/gravity/center`, "larger than the image: clipped"],
        [`${mark("large-logo.png")}/gravity/center/blogo/1`, "shrunk to fit"],
        [`${mark("large-logo.png")}/gravity/northwest/blogo/2`, "clipped"],
        [`${mark()}/gravity/southeast/dx/900/dy/450`, "pushed out in part"],
        [`${mark("clear.png")}/gravity/center`, "soft edges over a ground"],
        [`${mark("moving.gif")}/gravity/center`, "refused: a mark does not move"],
        [`${mark("turned.jpg")}/gravity/center/scatype/2/spcent/600`, "upright by its tag"],
      ]),
      ...on("clear.png", [[`${mark()}/gravity/center/dissolve/70`, "over clear parts"]]),
      ...on("grey.jpg", [[mark(), "in colour"]]),
    ],
  },
  {
    title: "Pipelines",
    examples: [
      ...on("chart.jpg", [
        "imageMogr2/thumbnail/!50p|watermark/2/text/5pWw5o2u5LiH6LGh/fill/I0ZGRkZGRg==/fontsize/30/dx/20/dy/20",
        [
          `${text("first", `/fontsize/60/gravity/center/fill/${colour("white")}`)}|imageMogr2/blur/10x5|${text("last", `/fontsize/60/gravity/north/fill/${colour("white")}`)}`,
          "the first is blurred, the last is not",
        ],
        "imageMogr2/crop/!500x400a250a50/rotate/20|imageView2/1/w/300/h/300",
        `imageView2/1/w/400/h/400|imageMogr2/rradius/60|${mark()}/gravity/center|imageMogr2/format/png`,
        `${mark()}/gravity/northwest/dx/0|${mark()}/gravity/center|${mark()}/dx/0|imageMogr2/thumbnail/400x`,
        "imageMogr2/rotate/10|imageMogr2/rotate/10|imageMogr2/rotate/10",
      ]),
      ...on("pond.jpg", [
        `imageMogr2/thumbnail/600x400!/sharpen/70|${text("© 回源 2015", `/fontsize/22/fill/${colour("white")}/shadow/80/dx/16/dy/10`)}|imageView2/2/format/webp/q/80`,
      ]),
    ],
  },
  {
    title: "imageInfo, exif, imageAve",
    examples: [
      ...on("chart.jpg", ["imageInfo", "exif", "imageAve", "imageMogr2/thumbnail/!50p|imageInfo"]),
      ...on("camera.jpg", ["exif", ["imageMogr2/strip|exif", "stripped"]]),
      ...on("turned.jpg", [["imageInfo", "stored sides"], "imageMogr2/auto-orient|imageInfo", "exif"]),
      ...on("clear.png", ["imageInfo", "imageAve"]),
      ...on("moving.gif", ["imageInfo"]),
      ...on("chart.bmp", ["imageInfo", "imageAve"]),
      ...on("aurora.avif", ["imageInfo"]),
      ...on("grey16.png", ["imageInfo"]),
    ],
  },
  {
    title: "What is refused",
    examples: on("chart.jpg", [
      "imageView2/6/w/100",
      "imageView2/2/w/0",
      "imageMogr2/thumbnail/abc",
      "imageMogr2/rradius/250",
      "imageMogr2/crop/!10x10a2000a0",
      "imageMogr2/colour/red",
      text("无色", `/fill/${colour("#12")}`),
      mark("absent.png"),
      "imageMogr2/thumbnail/!1000p|imageMogr2/thumbnail/!200p",
      ["imageMogr2/thumbnail/!1000p|imageMogr2/thumbnail/!200p/ignore-error/1", "the original"],
    ]),
  },
];
