// What needs an operator, in the reader's language. The server writes English; Chinese stands here, by code.
import type { Attention } from "../answers.ts";
import { bytes } from "./format.ts";
import { fill, language } from "./text.ts";

/** `{message}`: the server's own words, which quote a file or a store. */
export const ATTENTION_ZH: Readonly<Record<string, string>> = {
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
  HuiyuanDiskNearlyFull: "数据目录所在磁盘快满了，剩余 {bytes}",
  HuiyuanDiskFull: "磁盘只剩 {bytes}，不再存储新图片",
  HuiyuanDamagedObjects: "磁盘上有 {images} 张上传的图片已损坏",
  HuiyuanBackupTooOld: "近期没有成功的备份",
  HuiyuanBackupFailed: "上次备份失败，或发现了损坏的图片",
  HuiyuanRenderOverload: "图片处理超出了 CPU 的能力，拒绝了 {refused} 次",
  HuiyuanCallbacksGivenUp: "{count} 条回调在 24 小时内未送达",
  callbacks_waiting: "{count} 条回调等待重试",
  HuiyuanCallbacksLost: "{count} 条回调失败，且未能保存以供重试",
};

export function attentionText({ code, message, values = {} }: Attention): string {
  const text = language.value === "zh" ? ATTENTION_ZH[code] : undefined;
  if (text === undefined) return message;
  const sized = typeof values.bytes === "number" ? { bytes: bytes(values.bytes) } : {};
  return fill(text, { ...values, ...sized, message });
}
