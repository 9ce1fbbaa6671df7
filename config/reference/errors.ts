// Writes docs/reference/errors.md and docs/zh/errors.md: numbers and English texts from the table of errors, advice and
// Chinese texts from errors.yaml.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { CALLBACK_FAILED, type ErrorCode, errorRow, faultOf } from "../../src/core/errors.ts";
import { code, page, table } from "./markdown.ts";

interface Words {
  /** Advice in English. */
  readonly do: string;
  /** Meaning and advice in Chinese. */
  readonly zh: string;
  readonly zhDo: string;
}
interface Section {
  readonly title: string;
  readonly zhTitle: string;
  readonly codes: Readonly<Record<ErrorCode, Words>>;
}

/** The sections of the pages, with every error code once. */
export const SECTIONS: readonly Section[] = parse(readFileSync(new URL("./errors.yaml", import.meta.url), "utf8"));

const INTRO = `This page says what each error code means and what to do. An error of a download has a status, the header \`X-ErrNo\` and this body:

\`\`\`json
{ "code": -6101, "message": "no such image", "requestId": "…" }
\`\`\`

- \`X-Request-Id\` has the same id as \`requestId\`. The log line with this id has the details; the message never names internal hosts.
- The names in the first column are those of the log and of \`huiyuan_errors_total{code}\`.
- The REST API answers every failure with status 400 and the number of the column REST. Codes without one are -5989 there.
- Fault: the side that has to change something. Kind: the group of codes that the server handles alike.
- Retry: it helps if the same request may succeed soon; after a hopeless one a migration ends. A passing failure is not remembered for its key: the next request asks the origin again.
- A 404 may have a page or image of your own: \`notFound: { file: ./404.png }\`. Its status and \`X-ErrNo\` stay.`;

const ZH_INTRO = `本页说明每个错误码的含义和处理方法。下载出错时，响应带有状态码、\`X-ErrNo\` 头和如下内容：

\`\`\`json
{ "code": -6101, "message": "no such image", "requestId": "…" }
\`\`\`

- \`X-Request-Id\` 与 \`requestId\` 相同。按此 ID 可在日志中查到详情；错误信息不会透露内部主机。
- 第一列的名称与日志和 \`huiyuan_errors_total{code}\` 中的一致。
- REST API 出错时一律返回状态码 400 和“REST”一列的数字；没有数字的为 -5989。
- “责任方”指需要由谁处理；“类别”相同的错误码，服务器按同样的方式处理。
- “重试”：helps 表示稍后重试可能成功；出现 hopeless 后迁移任务会结束。passing 表示不为该键记住这次失败，下一次请求会重新访问源站。
- 404 可以换成自己的页面或图片：\`notFound: { file: ./404.png }\`。状态码和 \`X-ErrNo\` 不变。`;

export function errorsPage(): string {
  const heads = ["code", "status", "`X-ErrNo`", "REST", "fault", "kind", "retry", "meaning", "what to do"];
  const parts = SECTIONS.flatMap(({ title, codes }) => [
    `## ${title}`,
    table(
      heads,
      rowsOf(codes, (name, words) => [errorRow(name).text, words.do]),
    ),
  ]);
  const callback = `REST code ${CALLBACK_FAILED}: the image is stored, but your server did not take the [callback](../guides/callbacks.md).`;
  return page("Errors", INTRO, ...parts, "## Callbacks", callback);
}

export function zhErrorsPage(): string {
  const heads = ["名称", "状态码", "`X-ErrNo`", "REST", "责任方", "类别", "重试", "含义", "处理方法"];
  const parts = SECTIONS.flatMap(({ zhTitle, codes }) => [
    `## ${zhTitle}`,
    table(
      heads,
      rowsOf(codes, (_, { zh, zhDo }) => [zh, zhDo]),
    ),
  ]);
  const callback = `REST 错误码 ${CALLBACK_FAILED}：图片已存入，但您的服务器没有接受[回调](../guides/callbacks.md)（英文）。`;
  return page("错误码", "[English](../reference/errors.md)", ZH_INTRO, ...parts, "## 回调", callback);
}

function rowsOf(codes: Section["codes"], wordsOf: (name: ErrorCode, words: Words) => readonly string[]) {
  return Object.entries(codes).map(([key, words]) => {
    const name = key as ErrorCode; // A test compares the keys with the table of errors.
    const { status, errNo, rest = "", kind = "", retry, isPassing } = errorRow(name);
    const again = [retry, isPassing && "passing"].filter((word) => word !== undefined).join(", ");
    const columns = [String(status), String(errNo), String(rest), faultOf(name), kind, again];
    return [code(name), ...columns, ...wordsOf(name, words)];
  });
}
