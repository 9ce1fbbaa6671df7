// The sources that a config may name, and the options of each.
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
      /** A name of S3_PRESETS, checked by the source. */
      readonly preset: string | undefined;
      readonly referer: string | undefined;
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
  Oss: (values) => ({ ...readS3(values, "oss"), preset: "oss", referer: values.text("oss.referer") }),
  S3: (values) => readS3(values, "s3"),
};

function readLocal({ path }: Values, isNamedByMd5: boolean): SourceOptions {
  return { type: "local", root: path("local.image_root_path", "folder"), isNamedByMd5 };
}

function readS3({ text, required, flag, url, faults }: Values, prefix: "oss" | "s3") {
  const endpoint = text(`${prefix}.endpoint`);
  const address = endpoint === undefined || endpoint.includes("://") ? url(`${prefix}.endpoint`) : `http://${endpoint}`;
  const preset = text("s3.preset");
  if (address === undefined && (prefix === "oss" || preset === undefined))
    faults.push(`Option ${prefix}.endpoint is required.`);
  // A host that is an alias of the bucket has the bucket in its name already.
  const isAlias = prefix === "oss" && flag("oss.iscname");
  return {
    type: "s3" as const,
    bucket: required(`${prefix}.bucket`),
    accessKey: required(`${prefix}.accesskey`),
    secretKey: required(`${prefix}.secretkey`),
    endpoint: address,
    region: text(`${prefix}.region`),
    isPathStyle: text("s3.pathstyle") === undefined || isAlias ? undefined : flag("s3.pathstyle"),
    preset,
    referer: undefined,
  };
}
