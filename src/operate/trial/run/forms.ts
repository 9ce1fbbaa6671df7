// The forms of each picture that the page of `huiyuan try` shows, as instructions of URLs. It requests nothing.

/** The alias of the trial's settings. */
export const SAMPLE_ALIAS = { name: "cover", instruction: "imageView2/1/w/480/h/320/format/auto" } as const;
const SUFFIXES = {
  original: "",
  webp: "?imageMogr2/format/webp",
  avif: "?imageMogr2/format/avif",
  crop: "?imageView2/1/w/480/h/320",
  round: "?imageMogr2/crop/480x320/rradius/48/format/webp",
  watermark: "?imageView2/1/w/480/h/320|watermark/1/image/PICTURE/scatype/1/spcent/330/gravity/southeast/dx/16/dy/16",
  alias: `!${SAMPLE_ALIAS.name}`,
};

/** The original, or a processed one. */
export type Form = keyof typeof SUFFIXES;
export const isForm = (text: string): text is Form => Object.hasOwn(SUFFIXES, text);

/** The end of the URL of this form, as users write it. `watermark`: URL of a picture. */
export function suffixOf(form: Form, watermark: string): string {
  return SUFFIXES[form].replace("PICTURE", Buffer.from(watermark).toString("base64url"));
}
