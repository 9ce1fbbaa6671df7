// The words of the page of the nodes, and of changes that other nodes have confirmed.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  nodesAbout: [
    "The servers on the same S3 bucket that are alive. Each lists only its own operations, usage and callbacks.",
    "使用同一 S3 空间且在运行的服务器。每台只列出自己的操作记录、用量和回调。",
  ],
  isAlone: ["This server is alone", "只有这一台服务器"],
  isAloneHint: ["The setting `coordination` connects several servers.", "设置 coordination 可连接多台服务器。"],
  node: ["Node", "节点"],
  isThisNode: ["this one", "本机"],
  version: ["Version", "版本"],
  settingsDigest: ["Settings", "设置摘要"],
  differs: ["differs", "不一致"],
  lag: ["Lag", "延迟"],
  confirmed: ["{confirmed} of {nodes} nodes serve the change.", "{nodes} 台中已有 {confirmed} 台生效。"],
  othersWithin: ["The others follow within {time}.", "其余最迟 {time}后生效。"],
  started: ["Started", "启动于"],
});
