// The words of the steps of a request.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  rule: ["Rule", "规则"],
  explainAbout: [
    "Paste a download URL and see what would happen to it. Nothing is fetched or changed.",
    "粘贴下载 URL，查看处理步骤；不会回源，也不会改动任何内容。",
  ],
  isAllowed: ["allowed", "允许"],
  isRefused: ["refused", "拒绝"],
  isListed: ["allowed without a token", "允许，且免签名"],
  isUnseen: ["not checked", "未检查"],
  tokenGood: ["valid", "有效"],
  goodFor: ["valid for {time} more", "有效，剩余 {time}"],
  isGoodOnce: ["valid once", "单次有效"],
  isSpent: ["valid once, and used already", "单次有效，已使用"],
  ruleOfDomain: ["the domain's own mirror", "域名自己的源站"],
  doesMirror: ["fetched and stored", "回源拉取并存储"],
  doesAsync: ["redirected, and stored in the background", "先跳转，后台拉取并存储"],
  doesRedirect: ["redirected to the origin", "跳转到源站"],
  doesNothing: ["nothing is fetched", "不回源"],
  whyRefresh: ["The stored image must be confirmed.", "已存的图片需向源站确认。"],
  whyBehind: ["In the background, after the answer.", "应答之后在后台进行。"],
  isStandby: ["Only if the others fail.", "其他源站失败时才用。"],
  answerFrom: ["from {from}", "来自{from}"],
  isRestApi: ["This is a call of the REST API.", "这是 REST API 调用。"],
  isHealthPath: ["This is the health check.", "这是健康检查。"],
  unknownDomain: ["No bucket has this domain", "没有空间使用这个域名"],
  isStored: ["has the image", "已有此图"],
  isTombstone: ["the image was deleted", "图片已删除"],
});
export type TextName = Parameters<typeof t>[0];
