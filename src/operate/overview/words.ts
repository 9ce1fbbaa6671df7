// The words of the overview, and of what needs attention.

import { bytes } from "../console/text/format.ts";
import { language, textsOf } from "../console/text/text.ts";
import { fill } from "../console/text/texts-in.ts";
import type { Attention } from "./contract.ts";

export const t = textsOf({
  startedAt: ["Huiyuan {version}, started {when}.", "Huiyuan {version}，{when}启动。"],
  isLive: ["live", "实时"],
  isConnecting: ["connecting …", "正在连接…"],
  isOld: ["old figures", "数据已过时"],
  allIsWell: ["Nothing needs attention", "一切正常"],
  isCritical: ["critical", "严重"],
  firstImage: ["Serve the first image", "提供第一张图片"],
  firstImageAbout: ["The buckets are empty. There are three ways to fill them.", "空间还是空的，有三种方法存入图片。"],
  firstDownload: [
    "Ask one of your domains for an image. The mirror fetches it from the origin and stores it.",
    "用你的域名请求一张图片，会自动回源拉取并存储。",
  ],
  firstUpload: ["Drop images from this computer into a bucket.", "把本机的图片拖进空间。"],
  firstMigration: [
    "Copy a folder, a list of URLs, Qiniu or an S3 store ahead of traffic.",
    "在访问到来之前，从文件夹、URL 列表、七牛或 S3 存储复制。",
  ],
  lastBackup: ["Last backup", "上次备份"],
  backupSucceeded: ["succeeded", "成功"],
  backupDamaged: ["found damaged images", "发现损坏的图片"],
  backupFailed: ["failed", "失败"],
  backupUnfinished: ["has not ended", "尚未结束"],
  backupHint: ["Make one with huiyuan backup.", "用 huiyuan backup 命令备份"],
  notCounted: ["not counted yet", "还没有统计"],
  sinceStart: ["since the start: {value}", "启动以来：{value}"],
  hitRatio: ["Hit ratio", "命中率"],
  savedBytes: ["Bytes saved", "节省的回源流量"],
  requestsByTier: ["Requests by where the answer came from", "请求数（按应答来源）"],
  withoutBody: ["no body", "无正文"],
  bytesPerSecond: ["Bytes", "流量"],
  errorsByCode: ["Failures by reason", "失败原因"],
  errorsByCodeAbout: ["Since the start, the most frequent first.", "启动以来，按次数排序。"],
  originLatency: ["Latency of the origins", "源站延迟"],
  originLatencyAbout: ["Until the response head, in the last five minutes.", "最近五分钟，到收到响应头为止。"],
  slowest: ["Slowest", "最慢"],
});
export type TextName = Parameters<typeof t>[0];

/** The words of a judgement of the server in the reader's language. */
export function attentionText({ code, message, values = {} }: Attention): string {
  const text = language.value === "zh" ? attentionZh[code] : undefined;
  if (text === undefined) return message;
  const sized = typeof values.bytes === "number" ? { bytes: bytes(values.bytes) } : {};
  return fill(text, { ...values, ...sized, message });
}

/** 首页“需要处理”的条目，按代码；{message} 是服务自己的英文说明。英文界面直接用服务的说明。 */
export const attentionZh: Readonly<Record<string, string>> = {
  HuiyuanNotReady: "服务未就绪：{message}",
  store_away: "远程存储没有响应：{message}",
  HuiyuanReloadFailed: "修改后的设置未生效：{message}",
  settings_warning: "设置可能有误：{message}",
  restart_needed: "部分设置重启后生效：{message}",
  HuiyuanErrorRatio: "最近五分钟有 {percent}% 的下载失败",
  HuiyuanMemoryHigh: "进程占用了 {bytes} 内存",
  HuiyuanClientsLimited: "有客户端超出 limits.perClient（{limit}），共 {count} 次",
  HuiyuanOriginBreakerOpen: "源站 {origin} 持续失败，空间里没有的图片返回 424",
  HuiyuanOriginSlow: "源站 {origin} 较慢，十分之一的回源等待超过 {seconds} 秒",
  HuiyuanStoringBehind: "{images} 张图片等待写入存储，最久的已等 {seconds} 秒",
  HuiyuanNotStored: "最近 15 分钟有 {images} 张完好的图片未能存储",
  HuiyuanMaxKeysNear: "空间 {bucket} 的 maxKeys 已用 {percent}%",
  HuiyuanDiskNearlyFull: "数据目录所在磁盘快满了，剩余 {bytes}",
  HuiyuanDiskFull: "磁盘只剩 {bytes}，不再存储新图片",
  HuiyuanDetached: "Valkey 无响应：提供图片之前先与 S3 核对",
  HuiyuanDamagedObjects: "磁盘上有 {images} 张上传的图片已损坏",
  HuiyuanBackupTooOld: "近期没有成功的备份",
  HuiyuanBackupFailed: "上次备份失败，或发现了损坏的图片",
  HuiyuanRenderOverload: "图片处理超出了 CPU 的能力，拒绝了 {refused} 次",
  HuiyuanCallbacksGivenUp: "{count} 条回调在 24 小时内未送达",
  callbacks_waiting: "{count} 条回调等待重试",
  HuiyuanCallbacksLost: "{count} 条回调失败，且未能保存以供重试",
  migration_unread: "迁移记录无法读取：{message}",
  migration_running: "迁移 {id} 进行中：已复制 {done}/{all} 张图片",
  migration_failed: "迁移 {id} 有 {count} 张图片复制失败",
  migration_ended: "迁移 {id} 提前结束，或发现了差异",
};
