// Writes a processing instruction from choices that a person makes. It knows few of the operations; the field for the
// instruction takes all. Pure.

export interface Choices {
  /** `fit`: sides at most. `cover`: scaled, then cut in the middle. `cut`: cut out, not scaled. */
  readonly size: "none" | "fit" | "cover" | "cut";
  /** Pixels; empty: not given. */
  readonly width: string;
  readonly height: string;
  /** The place of the part that `cut` keeps. */
  readonly gravity: string;
  /** Degrees clockwise. */
  readonly rotate: string;
  /** Empty: that of the stored image. */
  readonly format: string;
  /** 1 to 100; empty: the default. */
  readonly quality: string;
  /** A watermark; empty: none. */
  readonly text: string;
  /** Size of the watermark's letters, in the unit of the bucket's era; empty: the default. */
  readonly textSize: string;
}

export const NO_CHOICES: Choices = {
  ...{ size: "none", width: "", height: "", gravity: "center" },
  ...{ rotate: "", format: "", quality: "", text: "", textSize: "" },
};

/** Empty if nothing is chosen. */
export function instructionOf(choices: Choices): string {
  const { size, width, height, gravity, rotate, format, quality, text, textSize } = choices;
  const isSized = size !== "none" && (width !== "" || height !== "");
  const mogr = [
    isSized && size === "cut" ? `gravity/${gravity}/crop/!${width}x${height}` : "",
    rotate === "" ? "" : `rotate/${rotate}`,
    format === "" ? "" : `format/${format}`,
    quality === "" ? "" : `quality/${quality}`,
  ].filter((part) => part !== "");
  const sides = [width === "" ? "" : `/w/${width}`, height === "" ? "" : `/h/${height}`].join("");
  return [
    isSized && size !== "cut" ? `imageView2/${size === "fit" ? 2 : 1}${sides}` : "",
    mogr.length === 0 ? "" : ["imageMogr2", ...mogr].join("/"),
    text === ""
      ? ""
      : `watermark/2/text/${base64url(text)}${textSize === "" ? "" : `/fontsize/${textSize}`}/dx/10/dy/10`,
  ]
    .filter((part) => part !== "")
    .join("|");
}

function base64url(text: string): string {
  const octets = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(octets).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
