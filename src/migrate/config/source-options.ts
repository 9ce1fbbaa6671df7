// The sources that a config may name, and the options of each.
import { S3_PRESET_NAMES, type S3PresetName, s3PlaceFault } from "../../core/s3-place.ts";
import { NOT_NEGATIVE, type Values } from "./values.ts";

export type SourceOptions =
  | { readonly type: "local"; readonly root: string; readonly isNamedByMd5: boolean }
  | { readonly type: "url-list"; readonly file: string; readonly encoded: (typeof ENCODED)[number] }
  | {
      readonly type: "qiniu";
      readonly bucket: string;
      readonly accessKey: string;
      readonly secretKey: string;
      /** With its scheme. */
      readonly domain: string;
      readonly referer: string | undefined;
      readonly isPrivate: boolean;
      /** The host that lists; undefined: that of the bucket's region. */
      readonly endpoint: string | undefined;
      /** Items with startOffset ≤ index < startOffset + total, in the order of the listing. */
      readonly startOffset: number;
      readonly total: number;
    }
  | {
      readonly type: "s3";
      readonly bucket: string;
      readonly accessKey: string;
      readonly secretKey: string;
      readonly endpoint: string | undefined;
      readonly region: string | undefined;
      readonly isPathStyle: boolean | undefined;
      readonly preset: S3PresetName | undefined;
      /** True: the endpoint's host stands for the bucket. */
      readonly isAlias: boolean;
      readonly referer: string | undefined;
    }
  | {
      /** The origins of a domain, named by the command line. */
      readonly type: "origins";
      readonly host: string;
      /** A file with keys or URLs; `-` is standard input. Without a list and a sitemap, an S3 origin lists itself. */
      readonly list: string | undefined;
      /** URL of a sitemap or a sitemap index. */
      readonly sitemap: string | undefined;
    };

const ENCODED = ["auto", "raw", "encoded"] as const;
const TYPES = ["Local", "Local_MD5", "URLList", "Qiniu", "Oss", "S3"] as const;
/** The first generation's names. */
const NUMBERS: Readonly<Record<string, (typeof TYPES)[number]>> = { 1: "Local", 2: "URLList", 3: "Qiniu" };

/** Undefined only if there are faults. */
export function readSource(values: Values): SourceOptions | undefined {
  const given = values.required("migrate.type");
  const type = NUMBERS[given] ?? TYPES.find((name) => name.toLowerCase() === given.toLowerCase());
  if (type !== undefined) return READERS[type](values);
  if (given !== "") values.faults.push(`Option migrate.type must be one of ${TYPES.join(", ")}.`);
  return undefined;
}

const READERS: Readonly<Record<(typeof TYPES)[number], (values: Values) => SourceOptions>> = {
  Local: (values) => readLocal(values, false),
  Local_MD5: (values) => readLocal(values, true),
  URLList: ({ text, path, choice }) => ({
    type: "url-list",
    file: text("url.url_list_file_path") === "-" ? "-" : path("url.url_list_file_path", "file"),
    encoded: choice("url.encoded", ENCODED) ?? "auto",
  }),
  Qiniu: ({ required, url, flag, number }) => ({
    type: "qiniu",
    bucket: required("qiniu.bucket"),
    accessKey: required("qiniu.AccessKey"),
    secretKey: required("qiniu.SecretKey"),
    domain: required("qiniu.domain") === "" ? "" : (url("qiniu.domain") ?? ""),
    referer: url("qiniu.referer"),
    isPrivate: flag("qiniu.isprivate"),
    endpoint: url("qiniu.endpoint"),
    startOffset: number("qiniu.start_offset", NOT_NEGATIVE) ?? 0,
    total: number("qiniu.total_num", NOT_NEGATIVE) ?? Number.POSITIVE_INFINITY,
  }),
  // Both spellings of a name are accepted, so that an old section works with the new type.
  Oss: (values) => readS3(values, "oss"),
  S3: (values) => readS3(values, "s3"),
};

function readLocal({ path }: Values, isNamedByMd5: boolean): SourceOptions {
  return { type: "local", root: path("local.image_root_path", "folder"), isNamedByMd5 };
}

function readS3(values: Values, prefix: "oss" | "s3"): SourceOptions {
  const { text, required, flag, choice, url, faults } = values;
  const given = text(`${prefix}.endpoint`);
  const endpoint = given === undefined || given.includes("://") ? url(`${prefix}.endpoint`) : `http://${given}`;
  const place = {
    bucket: required(`${prefix}.bucket`),
    endpoint,
    region: text(`${prefix}.region`),
    isPathStyle: text("s3.pathstyle") === undefined ? undefined : flag("s3.pathstyle"),
    preset: prefix === "oss" ? ("oss" as const) : choice("s3.preset", S3_PRESET_NAMES),
    isAlias: prefix === "oss" && flag("oss.iscname"),
  };
  if (endpoint === undefined && (prefix === "oss" || text("s3.preset") === undefined))
    faults.push(`Option ${prefix}.endpoint is required.`);
  else if (place.bucket !== "" && (place.preset !== undefined || text("s3.preset") === undefined)) {
    const fault = s3PlaceFault({ ...place, pathStyle: place.isPathStyle });
    if (fault !== undefined) faults.push(`Options ${prefix}.*: ${fault}.`);
  }
  return {
    type: "s3",
    ...place,
    accessKey: required(`${prefix}.accesskey`),
    secretKey: required(`${prefix}.secretkey`),
    referer: text(`${prefix}.referer`),
  };
}
