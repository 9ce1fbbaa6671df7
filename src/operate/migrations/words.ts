// The words of migrations, and of the causes of their failures.
import { failureText } from "../console/text/failures.ts";
import { shown, textsOf } from "../console/text/text.ts";
import type { Text } from "../console/text/texts-in.ts";

export const t = textsOf({
  migrationsAbout: [
    "Copies of existing images into a bucket, ahead of traffic.",
    "在访问到来之前，把已有的图片复制进空间。",
  ],
  noMigrations: ["No migration yet", "还没有迁移任务"],
  noMigrationsHint: [
    "A migration copies a folder, a list of URLs, Qiniu or an S3 store. Images that the mirror has brought are skipped.",
    "可迁移文件夹、URL 列表、七牛或 S3 存储；已回源的图片会跳过。",
  ],
  isRunning: ["running", "进行中"],
  isStopped: ["stopped", "已停止"],
  isIncomplete: ["ended with failures", "完成，有失败"],
  isEnded: ["ended by {how}", "被 {how} 结束"],
  progress: ["Progress", "进度"],
  copiedOf: ["{done} of {all} images copied, {bytes}.", "已复制 {done}/{all} 张，{bytes}。"],
  failedCount: ["{count} failed.", "失败 {count} 张。"],
  stop: ["Stop", "停止"],
  rescan: ["Scan again for changes", "重新扫描变化"],
  removeQuestion: [
    "Remove the migration {id}? Its journal is lost. The copied images stay.",
    "移除迁移任务 {id}？任务记录会丢失，已复制的图片保留。",
  ],
  moreFailures: [
    "There are more failures; huiyuan migrate view-failed prints all.",
    "还有更多失败记录，可用 huiyuan migrate view-failed 查看全部。",
  ],
  newMigration: ["New migration", "新建迁移"],
  newMigrationAbout: [
    "It copies images into a bucket of this server. The source stays as it is.",
    "把图片复制进本服务的空间，源数据不变。",
  ],
  migrationName: ["Name", "任务名"],
  migrationNameHint: ["a to z, 0 to 9 and -, such as photos-2015.", "小写字母、数字和 -，如 photos-2015。"],
  source: ["Source", "数据源"],
  sourceOrigins: ["The origins of a domain", "某个域名的源站"],
  sourceOriginsHint: ["The site or store that the mirror fetches from.", "回源所用的站点或云存储。"],
  sourceList: ["A list of URLs", "URL 列表"],
  sourceListHint: ["Images of any web site; the path becomes the key.", "任意网站的图片，URL 的路径作为文件名。"],
  sourceQiniu: ["Qiniu", "七牛"],
  sourceQiniuHint: ["A whole bucket, listed with your keys.", "用你的密钥列出整个空间。"],
  sourceS3: ["An S3 store", "S3 兼容存储"],
  sourceS3Hint: ["OSS, COS, OBS, AWS, MinIO and others.", "OSS、COS、OBS、AWS、MinIO 等。"],
  sourceFolder: ["A folder of this server", "本机文件夹"],
  sourceFolderHint: [
    "Below a folder that server.migrationFolders names.",
    "须在 server.migrationFolders 所列文件夹之下。",
  ],
  noMirroredDomain: [
    "No domain has a mirror source yet. Choose another source, or give a domain one in the settings.",
    "还没有域名配置源站。请选择其他数据源，或先在设置中为域名添加源站。",
  ],
  hostName: ["Host name", "主机名"],
  hostNameHint: ["One that the visitors' requests use.", "访客请求所用的主机名之一。"],
  listOrSitemap: ["Which images", "哪些图片"],
  listPasted: ["A list that I paste", "粘贴列表"],
  listOfSitemap: ["The site's sitemap", "网站的 sitemap"],
  listOfStore: ["All that the store lists", "云存储列出的全部"],
  listOfStoreHint: ["An S3 origin only: a web site cannot be listed.", "仅限 S3 源站，网站无法列出文件。"],
  list: ["List", "列表"],
  listHint: ["One URL or key a line.", "每行一个 URL 或文件名。"],
  urlListHint: ["One URL a line, with http:// or https://.", "每行一个 URL，以 http:// 或 https:// 开头。"],
  sitemap: ["URL of the sitemap", "sitemap 的 URL"],
  sitemapHint: ["It may be an index of sitemaps. It must have no query.", "可以是 sitemap 索引，不能带参数。"],
  targetBucket: ["Into the bucket", "目标空间"],
  sourceBucket: ["Bucket of the source", "源空间"],
  qiniuDomain: ["Download domain", "下载域名"],
  qiniuDomainHint: ["With http:// or https://.", "以 http:// 或 https:// 开头。"],
  qiniuPrivate: ["The bucket is private: sign the downloads", "私有空间：下载时签名"],
  vendorOther: ["another store", "其他存储"],
  regionHint: ["Such as cn-hangzhou. Leave it out for MinIO and Ceph.", "如 cn-hangzhou；MinIO 和 Ceph 不填。"],
  endpointHint: ["Leave it out for the vendor's own.", "不填则用服务商的默认地址。"],
  endpointNeeded: [
    "Of the store, without the bucket, such as http://10.0.0.5:9000.",
    "存储服务的地址，不含空间名，如 http://10.0.0.5:9000。",
  ],
  folder: ["Folder", "文件夹"],
  folderHint: ["Allowed: {folders}, and all below them.", "允许：{folders} 及其下级。"],
  noFolders: [
    "The settings name no folder, so none may be read. Add server.migrationFolders to the settings file by hand.",
    "设置中没有列出文件夹，因此不能读取。请手工在配置文件中添加 server.migrationFolders。",
  ],
  options: ["Options", "选项"],
  overwrite: ["If the bucket has other bytes under the same key", "空间中已有同名但内容不同的图片时"],
  overwriteNever: ["keep them, and report a failure", "保留，并记为失败"],
  overwriteNewer: ["replace them if the source's are newer", "源更新时覆盖"],
  overwriteAlways: ["replace them", "覆盖"],
  requestsLimit: ["Requests a second at most", "每秒请求数上限"],
  requestsLimitHint: ["Empty or 0: no limit beyond that of the origin.", "不填或 0：除源站自身的上限外不限。"],
  acceptSuspect: ["Also copy images whose structure or declared hash is wrong", "结构或哈希有误的图片也复制"],
  startMigration: ["Start copying", "开始复制"],
  starting: ["starting …", "正在启动…"],
  stillListing: ["The source is still being listed.", "仍在列出源数据。"],
  paceLine: ["{rate} images/s, {bytes}/s, {left} left", "每秒 {rate} 张，{bytes}/秒，还需 {left}"],
  paceLineOpen: ["{rate} images/s, {bytes}/s", "每秒 {rate} 张，{bytes}/秒"],
  sameCount: ["Equal bytes were there already: {count}.", "空间已有相同内容：{count} 张。"],
  deletedCount: ["Deleted in the bucket, and not copied: {count}.", "空间中已删除，未复制：{count} 张。"],
  endedEarly: ["ended early", "提前结束"],
  failuresByCause: ["Failures by cause", "失败原因"],
  example: ["Example", "示例"],
  eachFailure: ["Each failed image", "逐张列出失败的图片"],
  output: ["Output", "输出"],
  verify: ["Verify", "比对"],
  verifySample: ["Compare with the source", "与数据源比对"],
  sampleThousand: ["1,000 images at random", "随机 1,000 张"],
  sampleShare: ["5 % of the images at random", "随机 5%"],
  sampleAll: ["every image", "全部图片"],
  isVerifying: ["verifying", "比对中"],
  isDifferent: ["differences found", "发现差异"],
  comparedOf: [
    "{done} of {all} images compared, {bytes} read from the source.",
    "已比对 {done}/{all} 张，从数据源读取 {bytes}。",
  ],
  verifiedEqual: [
    "Verified {when}. No difference. Images: {equal}, compared byte by byte: {hashed}.",
    "{when}比对：{equal} 张全部一致，其中 {hashed} 张逐字节比对。",
  ],
  verifiedOther: [
    "Verified {when}. Equal images: {equal}, others: {count}.",
    "{when}比对：{equal} 张一致，{count} 张不一致。",
  ],
  verifiedPart: [
    "The comparison did not end. Equal images so far: {equal}, others: {count}.",
    "比对没有完成，此前 {equal} 张一致，{count} 张不一致。",
  ],
  verifiedBefore: [
    "A run has begun since then. Verify again to see what it mended.",
    "之后又运行过，请再次比对以确认结果。",
  ],
  switchOff: [
    "Before you switch the source off, let a week pass without a missing image, and make a backup.",
    "停用数据源之前，请先观察一周没有图片缺失，并做好备份。",
  ],
  difference: ["Difference", "差异"],
  nextStep: ["Next step", "下一步"],
  eachDifference: ["The first of each kind", "每种差异的前几张"],
  differs: ["Other bytes in the bucket", "空间中的内容不同"],
  differsNext: [
    "Retry copies them again. Uploads and mirrored images are kept, and reported as failures.",
    "重试会再次复制；上传和回源的图片保留，并记为失败。",
  ],
  missing: ["Missing in the bucket", "空间中缺少"],
  missingNext: ["Retry copies them.", "重试会复制。"],
  gone: ["Missing at the source", "数据源中缺少"],
  goneNext: ["Delete them in the bucket too, if it should lose them.", "如果不再需要，也在空间中删除。"],
  unread: ["Not readable", "无法读取"],
  unreadNext: ["Verify again once the cause is gone.", "排除原因后再次比对。"],
  failed: ["Copy failed", "复制失败"],
  failedNext: ["Mend the cause that its line names, then retry.", "按每行给出的原因处理，然后重试。"],
  deleted: ["Deleted in the bucket", "空间中已删除"],
  deletedNext: ["None: a migration leaves deleted images deleted.", "无需处理，迁移不会恢复已删除的图片。"],
  details: ["Details", "详情"],
});
export type TextName = Parameters<typeof t>[0];

/** Causes that are no code of an error. */
const CAUSES: Readonly<Record<string, Text>> = {
  "code -1886": ["The bucket has other bytes under this key.", "空间中已有同名但内容不同的图片。"],
  gone: ["The source does not have it any more.", "数据源已没有这张图片。"],
  unlisted: [
    "Its name cannot be a key, it is a link out of the folder, or the folder may not be read: see the example.",
    "名称不能作为文件名，或是指向文件夹之外的链接，或文件夹无读取权限：见示例。",
  ],
  name_refused: ["Its name cannot be a key.", "名称不能作为文件名。"],
};

/** The words of a cause; empty if the cause and its example say all. */
export function causeText(cause: string): string {
  const texts = CAUSES[cause];
  return texts === undefined ? failureText(cause, "") : shown(texts, {});
}
