// The words of the page of the origins.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  originsAbout: ["The sites and stores that missing images are fetched from.", "缺少的图片从这些站点或云存储拉取。"],
  noOrigins: ["No origin is configured", "没有配置源站"],
  noOriginsHint: [
    "A domain without a mirror serves only what its bucket has.",
    "没有源站的域名只提供空间里已有的图片。",
  ],
  answers: ["answers", "正常"],
  isUnused: ["not contacted yet", "尚未回源"],
  onlyErrors: ["only errors", "全部失败"],
  isPaused: ["paused", "已暂停回源"],
  sinceWhen: ["since {when}", "始于{when}"],
  budget: ["Requests at once", "并发回源"],
  budgetOf: ["{running} of {most}", "{running}/{most}"],
  budgetHint: ["waiting: {waiting}", "排队：{waiting}"],
  rateLimit: ["Limit", "频率上限"],
  noLimit: ["none", "不限"],
  pauseLeft: ["Pause by Retry-After", "按 Retry-After 暂停"],
  latencyNow: ["Latency", "延迟"],
  latencyHint: ["90 %: {nineOfTen}, slowest: {slowest}", "90%：{nineOfTen}，最慢：{slowest}"],
  latencyPlot: ["Latency until the response head", "到收到响应头的延迟"],
  latencyPlotAbout: ["Each point covers the five minutes before it.", "每个点统计之前五分钟的回源请求。"],
  lastFailures: ["Last failures", "最近的失败"],
  lastMinutes: ["failed: {failed}, in the last five minutes", "最近五分钟，失败 {failed}"],
  noFailures: ["None since the start of the server.", "服务启动以来没有失败。"],
});
export type TextName = Parameters<typeof t>[0];
