// Words the causes of a migration's failures in the reader's language. docs/guides/migration.md has the same causes.
import { fill, language } from "../../console/text/text.ts";

/** English and Chinese, by cause. */
const CAUSES: Readonly<Record<string, readonly [string, string]>> = {
  "code -1886": ["The bucket has other bytes under this key.", "空间中已有同名但内容不同的图片。"],
  gone: ["The source does not have it any more.", "数据源已没有这张图片。"],
  unlisted: [
    "Its name cannot be a key, or it is a link out of the folder: rename it, or put the file there.",
    "名称不能作为文件名，或是指向文件夹之外的链接：请改名，或换成文件本身。",
  ],
  url_invalid: ["Its URL is not valid.", "URL 无效。"],
  name_refused: ["Its name cannot be a key.", "名称不能作为文件名。"],
  origin_not_image: ["The source sends no image: replace it there.", "数据源返回的不是图片，请在数据源替换。"],
  origin_empty: ["The source sends no bytes: replace it there.", "数据源返回空内容，请在数据源替换。"],
  image_not_processable: ["It is damaged at the source: replace it there.", "数据源的图片已损坏，请替换。"],
  origin_hash_wrong: ["Its bytes do not have the hash that the source declares.", "内容与数据源声明的哈希不符。"],
  origin_too_large: ["It is larger than limits.objectSize of the settings.", "超过设置中的 limits.objectSize。"],
  origin_blocked: ["The source has a private address.", "数据源是内网地址。"],
  origin_timeout: ["The source did not answer in time.", "数据源响应超时。"],
  origin_refused: ["The source refused the connection.", "数据源拒绝连接。"],
  origin_reset: ["The source closed the connection.", "数据源断开了连接。"],
  origin_truncated: ["The source sent a part of the image only.", "数据源只返回了图片的一部分。"],
  origin_tls: ["The TLS handshake with the source failed.", "与数据源的 TLS 握手失败。"],
  origin_name_unknown: ["The host name of the source does not exist.", "数据源的域名不存在。"],
  origin_dns_timeout: ["The host name of the source could not be looked up.", "数据源的域名解析超时。"],
  origin_dns_failed: ["The host name of the source could not be looked up.", "数据源的域名解析失败。"],
  origin_failing: ["The source keeps failing, and gets no requests for now.", "数据源持续失败，已暂停请求。"],
  origin_busy: ["The source has asked for a pause.", "数据源要求暂停。"],
  overloaded: ["The server was busy.", "服务繁忙。"],
  store_failed: ["The store of this server failed.", "本服务的存储出错。"],
  store_full: ["The store of this server has no room.", "本服务的存储空间不足。"],
};
const STATUS = ["The source answered HTTP {status}.", "数据源返回 HTTP {status}。"] as const;

/** The cause itself if it has no words. */
export function causeText(cause: string): string {
  const [, status] = /^status (\d+)$/.exec(cause) ?? [];
  const texts = status === undefined ? CAUSES[cause] : STATUS;
  return texts === undefined ? cause : fill(texts[language.value === "zh" ? 1 : 0], { status: status ?? "" });
}
