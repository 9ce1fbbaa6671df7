// The words of the callbacks.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  attempts: ["Attempts", "次数"],
  callbacksAbout: ["Notices of uploads that the receiver has not confirmed.", "接收方尚未确认的上传回调。"],
  noCallbacks: ["No callback is owed", "没有未完成的回调"],
  retryAll: ["Send all now", "全部立即发送"],
  isWaiting: ["waits for a retry", "等待重试"],
  isGivenUp: ["given up", "已放弃"],
  drop: ["Drop", "丢弃"],
  dropQuestion: [
    "Drop this notice for good? Its receiver will never get it.",
    "永久丢弃这条回调？接收方将不会收到它。",
  ],
});
