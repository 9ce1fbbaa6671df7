// The words of the usage by day.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  usageAbout: ["All buckets, by day (UTC).", "所有空间，按天统计（UTC）。"],
  noUsage: ["Nothing was served yet", "还没有用量"],
  bytesByDay: ["Bytes sent by day", "每天发送的字节数"],
});
