// The words of the operation log.
import { textsOf } from "../console/text/text.ts";

export const t = textsOf({
  all: ["All", "全部"],
  opUpload: ["upload", "上传"],
  opCopy: ["copy", "复制"],
  opQuery: ["query", "查询"],
  opDelete: ["delete", "删除"],
  opUndelete: ["undelete", "恢复"],
  opPurge: ["purge", "刷新"],
  opLogin: ["login", "登录"],
  opLogout: ["logout", "退出"],
  opChange: ["other change", "其他变更"],
  result: ["Result", "结果"],
  client: ["Client", "客户端"],
  from: ["From", "从"],
  to: ["To", "到"],
  operationsAbout: [
    "The newest {count} that match. The CSV file has all; import it as text, a value may begin with =.",
    "最近 {count} 条符合条件的记录，CSV 文件包含全部；请按文本导入，值可能以 = 开头。",
  ],
  noOperations: ["No operation matches", "没有符合条件的记录"],
});
export type TextName = Parameters<typeof t>[0];
