// Builds the address of a bucket in an S3-compatible store from settings and known facts about each vendor. Pure;
// origins, stores and the settings check use it.
import { isIP } from "node:net";
import { HuiyuanError } from "./errors.ts";

/** Properties that all stores of one vendor share. */
interface S3Preset {
  /** Default endpoint; `{region}` is replaced. Undefined: the operator must give the endpoint. */
  readonly endpoint?: string;
  /** An example of a region, for messages; undefined if the vendor has no regions or the endpoint alone decides. */
  readonly regionExample?: string;
  /** The region to sign with if none is given; undefined if one must be given. */
  readonly defaultRegion?: string;
  /** The position of the bucket's name in the URL. `host-only`: the vendor refuses it in the path. */
  readonly style: "host" | "host-only" | "path";
  /** True if the vendor documents the ETag of an object put whole and unencrypted as its MD5. */
  readonly isEtagMd5?: boolean;
}

// Sources: the vendors' pages on S3 compatibility and endpoints.
const S3_PRESETS = {
  // AWS does not promise path style for new buckets. The regions of China have a domain of their own.
  aws: {
    endpoint: "https://s3.{region}.amazonaws.com",
    regionExample: "us-east-1",
    defaultRegion: "us-east-1",
    style: "host",
    isEtagMd5: true,
  },
  // 阿里云 OSS. Objects uploaded by PostObject have an ETag that looks like an MD5 but is not.
  oss: { endpoint: "https://s3.oss-{region}.aliyuncs.com", regionExample: "cn-hangzhou", style: "host-only" },
  // 腾讯云 COS. The bucket's name ends in the account's number: example-1250000000.
  cos: { endpoint: "https://cos.{region}.myqcloud.com", regionExample: "ap-guangzhou", style: "host-only" },
  // 华为云 OBS
  obs: { endpoint: "https://obs.{region}.myhuaweicloud.com", regionExample: "cn-north-4", style: "host" },
  // 七牛 Kodo through S3. The bucket is its "S3 name", which the console shows. Kodo refuses anonymous requests.
  kodo: { endpoint: "https://s3.{region}.qiniucs.com", regionExample: "cn-east-1", style: "path" },
  // 又拍云
  upyun: { endpoint: "https://s3.api.upyun.com", defaultRegion: "us-east-1", style: "path" },
  // Backblaze B2
  b2: { endpoint: "https://s3.{region}.backblazeb2.com", regionExample: "us-west-004", style: "path" },
  minio: { defaultRegion: "us-east-1", style: "path" },
  ceph: { defaultRegion: "us-east-1", style: "path", isEtagMd5: true },
} as const satisfies Record<string, S3Preset>;

export type S3PresetName = keyof typeof S3_PRESETS;

export const S3_PRESET_NAMES = Object.keys(S3_PRESETS) as readonly S3PresetName[];

const NO_PRESET: S3Preset = { defaultRegion: "us-east-1", style: "path" };

/** The settings of a store, as an operator writes them. An empty text means that the setting is absent. */
export interface S3PlaceOptions {
  readonly preset?: S3PresetName | undefined;
  /** URL of the service, without the bucket. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly bucket: string;
  /** Default: the preset's style; path style if the host cannot hold the bucket. */
  readonly pathStyle?: boolean | undefined;
  /** True: the endpoint's host stands for the bucket (a CNAME). */
  readonly isAlias?: boolean | undefined;
}

/** The address of a bucket, ready for requests. */
export interface S3Place {
  /** Base URL of the bucket without a trailing slash; a request appends `/` and the encoded key. */
  readonly url: string;
  /** The region that signatures use. */
  readonly region: string;
  readonly isEtagMd5: boolean;
}

/** The fault that s3Place() would throw; undefined if it finds the bucket. */
export function s3PlaceFault(options: S3PlaceOptions): S3PlaceFault | undefined {
  try {
    s3Place(options);
    return undefined;
  } catch (error) {
    if (error instanceof S3PlaceFault) return error;
    throw error;
  }
}

/** `zh`: the message in Chinese. */
class S3PlaceFault extends HuiyuanError {
  readonly zh: string;
  constructor(en: string, zh: string) {
    super("settings_invalid", `Cannot find the bucket: ${en}`);
    this.zh = `无法确定空间的地址：${zh}`;
  }
}

/** Throws settings_invalid with the missing or wrong setting. */
export function s3Place(options: S3PlaceOptions): S3Place {
  const preset: S3Preset = options.preset === undefined ? NO_PRESET : S3_PRESETS[options.preset];
  if (options.endpoint && !isHttpUrl(options.endpoint))
    throw new S3PlaceFault("the endpoint is not an http(s) URL", "endpoint 不是 http(s) URL");
  const region = regionOf(options, preset);
  const endpoint = new URL(options.endpoint || defaultEndpoint(preset, region, options));
  const { bucket } = options;
  const isEtagMd5 = preset.isEtagMd5 ?? false;
  const base = endpoint.pathname.replace(/\/+$/, "");
  if (options.isAlias === true) return { url: endpoint.origin + base, region, isEtagMd5 };
  if (endpoint.hostname.startsWith(`${bucket.toLowerCase()}.`))
    throw new S3PlaceFault("the endpoint names the bucket already", "endpoint 中已经有空间名");
  const inPath = isInPath(endpoint, preset, options);
  const host = inPath ? endpoint.host : `${bucket}.${endpoint.host}`;
  return { url: `${endpoint.protocol}//${host}${base}${inPath ? `/${bucket}` : ""}`, region, isEtagMd5 };
}

function regionOf({ region, preset: name, endpoint }: S3PlaceOptions, preset: S3Preset): string {
  // The vendor's own pages write the region both ways.
  const given = name === "oss" ? region?.replace(/^oss-/, "") : region;
  if (given) {
    // The region becomes a part of a host name and of the signature's scope.
    if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(given))
      throw new S3PlaceFault(`"${given}" is not a region`, `"${given}" 不是地域`);
    return given;
  }
  const own = (endpoint ? regionIn(endpoint, preset) : undefined) ?? preset.defaultRegion;
  if (own !== undefined) return own;
  const such = preset.regionExample;
  throw new S3PlaceFault(
    `the preset ${name} needs a region, such as ${such}`,
    `\`preset: ${name}\` 需要 region，例如 ${such}`,
  );
}

/** Reads the region from an endpoint of the vendor's form, including internal endpoints. */
function regionIn(endpoint: string, preset: S3Preset): string | undefined {
  const [before = "", after = ""] = (preset.endpoint ?? "").replace(/^https:\/\//, "").split("{region}");
  // AWS endpoints in China end in .com.cn.
  const hostname = new URL(endpoint).hostname.replace(/\.com\.cn$/, ".com");
  const shortened = before.replace(/^s3\./, "");
  const start = [before, shortened].find((each) => each !== "" && hostname.startsWith(each));
  if (start === undefined || !hostname.endsWith(after)) return undefined;
  const region = hostname.slice(start.length, -after.length).replace(/-internal$/, "");
  // An acceleration endpoint serves all regions.
  return /^(?!accelerate)[a-z0-9]+(?:-[a-z0-9]+)+$/.test(region) ? region : undefined;
}

function defaultEndpoint(preset: S3Preset, region: string, { preset: name }: S3PlaceOptions): string {
  if (preset.endpoint === undefined)
    throw new S3PlaceFault(`${name ?? "a store"} needs an endpoint`, `${name ?? "S3 存储"} 需要 endpoint`);
  const url = preset.endpoint.replace("{region}", region);
  return name === "aws" && region.startsWith("cn-") ? `${url}.cn` : url;
}

function isInPath(endpoint: URL, preset: S3Preset, { bucket, pathStyle, preset: name }: S3PlaceOptions): boolean {
  if (pathStyle === true && preset.style === "host-only")
    throw new S3PlaceFault(`${name} does not accept the bucket in the path`, `${name} 不接受路径中的空间名`);
  const fault = hostStyleFault(endpoint, bucket);
  if (fault === undefined) return pathStyle ?? preset.style === "path";
  if (pathStyle === false || preset.style === "host-only") throw new S3PlaceFault(...fault);
  return true;
}

/** Returns the reason why the bucket's name cannot precede the endpoint's host; undefined if it can. */
function hostStyleFault({ protocol, hostname }: URL, bucket: string): readonly [string, string] | undefined {
  if (isIP(hostname.replace(/^\[|\]$/g, "")) !== 0)
    return [`the bucket cannot precede the IP address ${hostname}`, `IP 地址 ${hostname} 之前不能有空间名`];
  if (!/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(bucket))
    return [`the bucket "${bucket}" is not a host name`, `空间名 "${bucket}" 不能用作域名`];
  // The vendors' wildcard certificates cover one label.
  if (protocol === "https:" && bucket.includes("."))
    return [
      `no TLS certificate covers the bucket "${bucket}" as a host name`,
      `没有 TLS 证书包含以空间名 "${bucket}" 开头的域名`,
    ];
  return undefined;
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
