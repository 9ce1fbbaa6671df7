// First part of the contact sheet: sizes, positions and edges.
import { colour, GRAVITIES, on, type Section } from "./sheet.ts";

export const SHAPES: readonly Section[] = [
  {
    title: "imageView2: the six modes",
    examples: [
      ...on("chart.jpg", [
        "imageView2/0/w/500/h/400",
        "imageView2/1/w/500/h/400",
        ["imageView2/1/w/200", "one side: a square"],
        "imageView2/2/w/500/h/400",
        "imageView2/2/h/150",
        ["imageView2/2/w/2000", "at most: never enlarged"],
        "imageView2/3/w/500/h/400",
        ["imageView2/3/w/1200", "at least: enlarged, to 2400×1200"],
        "imageView2/4/w/500/h/400",
        "imageView2/5/w/500/h/400",
      ]),
      ...on("upright.jpg", [
        ["imageView2/0/w/200/h/400", "long edge at most 200"],
        ["imageView2/2/w/200/h/400", "width at most 200"],
        ["imageView2/4/w/400/h/100", "long edge at least 400"],
        ["imageView2/5/w/500/h/300", "a portrait is cut to 300×500"],
      ]),
      ...on("square.jpg", [["imageView2/4/w/300/h/200", "of a square the height is the long edge"]]),
    ],
  },
  {
    title: "imageMogr2/thumbnail",
    examples: [
      ...on("chart.jpg", [
        "imageMogr2/thumbnail/!50p",
        "imageMogr2/thumbnail/!50px",
        "imageMogr2/thumbnail/!x50p",
        "imageMogr2/thumbnail/400x",
        "imageMogr2/thumbnail/x100",
        "imageMogr2/thumbnail/400x400",
        "imageMogr2/thumbnail/!400x400r",
        ["imageMogr2/thumbnail/400x400!", "distorted"],
        "imageMogr2/thumbnail/400x300>",
        "imageMogr2/thumbnail/1200x1200<",
        "imageMogr2/thumbnail/125000@",
      ]),
      ...on("garden.jpg", [
        ["imageMogr2/thumbnail/!25p", "detail stays crisp, without moiré"],
        ["imageMogr2/thumbnail/!5p", "very small"],
        ["imageMogr2/crop/!200x133a700a300/thumbnail/!400p", "enlarged four times: soft, no rings and no blocks"],
      ]),
    ],
  },
  {
    title: "imageMogr2/pad and color",
    examples: on("chart.jpg", [
      "imageMogr2/thumbnail/300x300/pad/1",
      `imageMogr2/thumbnail/300x300/pad/1/color/${colour("#2E86C1")}`,
      [`imageMogr2/pad/1/color/${colour("gold")}/thumbnail/500x120`, "a colour by name, keys before the thumbnail"],
      [`imageMogr2/thumbnail/1200x600/pad/1/color/${colour("#333333")}`, "smaller than the ground: not enlarged"],
    ]).concat(
      on("clear.png", [
        [
          `imageMogr2/thumbnail/300x300/pad/1/color/${colour("#FDEBD0")}`,
          "clear parts stay clear, the ground beside is filled",
        ],
      ]),
    ),
  },
  {
    title: "imageMogr2/crop with gravity",
    examples: [
      ...GRAVITIES.flatMap((gravity) => on("chart.jpg", [`imageMogr2/gravity/${gravity}/crop/300x300`])),
      ...on("chart.jpg", [
        ["imageMogr2/crop/300x", "the height is kept"],
        ["imageMogr2/gravity/north/crop/x200", "the width is kept"],
        ["imageMogr2/crop/1500x900", "enlarged to cover"],
      ]),
      ...on("upright.jpg", ["imageMogr2/gravity/south/crop/300x200"]),
    ],
  },
  {
    title: "imageMogr2/crop with offsets, cut",
    examples: on("chart.jpg", [
      "imageMogr2/crop/!300x300",
      ["imageMogr2/gravity/southeast/crop/!300x300a20a20", "20 from the lower right corner"],
      "imageMogr2/crop/!300x300a20a20",
      ["imageMogr2/crop/!300x300-20a20", "280×300 at (0,20)"],
      ["imageMogr2/crop/!300x300a20-20", "300×280 at (20,0)"],
      ["imageMogr2/crop/!300x300-20-20", "280×280 at (0,0)"],
      ["imageMogr2/crop/!300xa700a0", "a side that is not given is the image's"],
      ["imageMogr2/crop/!600x600a800a300", "clipped to 200×200"],
      "imageMogr2/cut/400x200x300x150",
    ]),
  },
  {
    title: "imageMogr2/scrop: to what draws the eye",
    examples: [
      ...on("lighthouse.jpg", [
        ["imageMogr2/scrop/500x500", "the tower stays"],
        ["imageMogr2/crop/500x500", "for comparison"],
      ]),
      ...on("pond.jpg", ["imageMogr2/scrop/300x600", ["imageMogr2/crop/300x600", "for comparison"]]),
      ...on("dunes.webp", ["imageMogr2/scrop/400x400"]),
    ],
  },
  {
    title: "imageMogr2/iradius and rradius",
    examples: [
      ...on("chart.png", ["imageMogr2/iradius/200", "imageMogr2/rradius/80", "imageMogr2/rradius/3"]),
      ...on("chart.jpg", [
        ["imageMogr2/iradius/200", "white where JPEG cannot be clear"],
        "imageMogr2/rradius/80",
        ["imageMogr2/rradius/80/format/png", "JPEG to PNG: clear"],
        ["imageMogr2/thumbnail/300x/iradius/70/format/webp"],
      ]),
      ...on("clear.png", ["imageMogr2/rradius/100"]),
      ...on("moving.gif", [["imageMogr2/rradius/100", "a GIF stays as it is"]]),
      ...on("moving.webp", ["imageMogr2/rradius/100"]),
    ],
  },
  {
    title: "imageMogr2/rotate, auto-orient, strip",
    examples: [
      ...on("chart.jpg", [
        "imageMogr2/rotate/90",
        "imageMogr2/rotate/180",
        "imageMogr2/rotate/270",
        "imageMogr2/flip/horizontal",
        "imageMogr2/flip/vertical",
        ["imageMogr2/rotate/30", "corners white"],
        ["imageMogr2/rotate/360", "as it was"],
        "imageMogr2/rotate/45/crop/300x300",
        "imageMogr2/crop/300x300/rotate/45",
      ]),
      ...on("chart.png", [["imageMogr2/rotate/30", "corners clear"]]),
      ...on("clear.png", ["imageMogr2/rotate/30"]),
      ...on("turned.jpg", [
        ["imageMogr2/auto-orient/thumbnail/400x", "upright, 400×200"],
        ["imageMogr2/thumbnail/400x", "stored sides, tag kept: shown upright, 800 high"],
        ["imageMogr2/strip/thumbnail/400x", "without the tag it lies on its side"],
        ["imageMogr2/auto-orient/rotate/90/thumbnail/x400", "turned once more"],
        ["imageMogr2/gravity/northwest/crop/300x300/auto-orient", "cut first, then upright"],
        ["imageMogr2/auto-orient/gravity/northwest/crop/300x300", "upright first: NW"],
      ]),
    ],
  },
  {
    title: "imageMogr2/blur and sharpen",
    examples: [
      ...on("chart.jpg", [
        "imageMogr2/blur/3x2",
        "imageMogr2/blur/20x10",
        ["imageMogr2/blur/50x50", "the radius ends the curve: nearly a box"],
        ["imageMogr2/blur/2x50", "a small radius blurs little, whatever the sigma"],
        ["imageMogr2/thumbnail/400x/blur/8x4", "after scaling: edges not dark"],
        "imageMogr2/sharpen/10",
        ["imageMogr2/sharpen/70", "the advised value"],
        "imageMogr2/sharpen/300",
      ]),
      ...on("pond.jpg", [
        "imageMogr2/thumbnail/500x/sharpen/70",
        "imageMogr2/thumbnail/500x/sharpen/300",
        "imageMogr2/thumbnail/500x",
      ]),
      ...on("clear.png", [
        ["imageMogr2/blur/20x8", "soft edges without dark or white fringes"],
        "imageMogr2/sharpen/150",
      ]),
    ],
  },
];
