// The sources that a config may name, and the options of each.
import { S3_PRESET_NAMES, s3PlaceFault } from "../../../core/s3-place.ts";
import type { S3Options } from "../../../serve/origin/kinds/s3.ts";
import type { LocalOptions } from "../sources/local.ts";
import type { QiniuSourceOptions } from "../sources/qiniu.ts";
import type { UrlListOptions } from "../sources/url-list.ts";
import type { Values } from "./options.ts";

export type SourceOptions =
  | ({ readonly type: "local" } & LocalOptions)
  | ({ readonly type: "url-list" } & Pick<UrlListOptions, "file" | "encoded">)
  | ({ readonly type: "qiniu" } & QiniuSourceOptions)
  | ({ readonly type: "s3" } & Omit<S3Options, "allowPrivate">)
  | {
      /** The origins of a domain, named by the command line. */
      readonly type: "origins";
      readonly host: string;
      /** A file with keys or URLs; `-` is standard input. Without a list and a sitemap, an S3 origin lists itself. */
      readonly list: string | undefined;
      /** URL of a sitemap or a sitemap index. */
      readonly sitemap: string | undefined;
    };

const TYPES = ["Local", "Local_MD5", "URLList", "Qiniu", "Oss", "S3"] as const;
/** The first generation's names. */
const NUMBERS = new Map<string, (typeof TYPES)[number]>([
  ["1", "Local"],
  ["2", "URLList"],
  ["3", "Qiniu"],
]);

/** Undefined only if there are faults. */
export function readSource(values: Values): SourceOptions | undefined {
  const given = values.required("migrate.type");
  const type = NUMBERS.get(given) ?? values.choice("migrate.type", TYPES);
  return type && READERS[type](values);
}

const READERS: Readonly<Record<(typeof TYPES)[number], (values: Values) => SourceOptions>> = {
  Local: ({ path }) => ({ type: "local", root: path("local.image_root_path", "folder"), isNamedByMd5: false }),
  Local_MD5: ({ path }) => ({ type: "local", root: path("local.image_root_path", "folder"), isNamedByMd5: true }),
  URLList: ({ text, path, choice }) => ({
    type: "url-list",
    file: text("url.url_list_file_path") === "-" ? "-" : path("url.url_list_file_path", "file"),
    encoded: choice("url.encoded", ["auto", "raw", "encoded"]) ?? "auto",
  }),
  Qiniu: ({ required, url, flag, whole }) => ({
    type: "qiniu",
    bucket: required("qiniu.bucket"),
    accessKey: required("qiniu.AccessKey"),
    secretKey: required("qiniu.SecretKey"),
    domain: required("qiniu.domain") && (url("qiniu.domain") ?? ""),
    referer: url("qiniu.referer"),
    isPrivate: flag("qiniu.isprivate") ?? false,
    endpoint: url("qiniu.endpoint"),
    startOffset: whole("qiniu.start_offset", 0) ?? 0,
    total: whole("qiniu.total_num", 0) ?? Number.POSITIVE_INFINITY,
  }),
  Oss: (values) => readS3(values, "oss"),
  S3: (values) => readS3(values, "s3"),
};

/** The old section Oss means S3 with the preset `oss`. */
function readS3(values: Values, prefix: "oss" | "s3"): SourceOptions {
  const { text, required, flag, choice, url, faults } = values;
  const isOld = prefix === "oss";
  const isGiven = text("s3.preset") !== undefined;
  const given = text(`${prefix}.endpoint`);
  const endpoint = given === undefined || given.includes("://") ? url(`${prefix}.endpoint`) : `http://${given}`;
  const place = {
    bucket: required(`${prefix}.bucket`),
    endpoint,
    region: text(`${prefix}.region`),
    pathStyle: isOld ? undefined : flag("s3.pathstyle"),
    preset: isOld ? "oss" : choice("s3.preset", S3_PRESET_NAMES),
    isAlias: isOld && flag("oss.iscname"),
  } as const;
  const isRight =
    place.bucket !== "" && (place.preset ?? !isGiven) && (endpoint === undefined) === (given === undefined);
  const fault = isRight ? s3PlaceFault(place)?.message : undefined;
  if (given === undefined && (isOld || !isGiven)) faults.push(`Option ${prefix}.endpoint is required.`);
  else if (fault !== undefined) faults.push(`Options ${prefix}.*: ${fault}.`);
  return {
    type: "s3",
    ...place,
    accessKeyId: required(`${prefix}.accesskey`),
    secretAccessKey: required(`${prefix}.secretkey`),
    referer: text(`${prefix}.referer`),
  };
}
