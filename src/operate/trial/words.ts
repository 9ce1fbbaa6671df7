// The words of the page of `huiyuan try`, in English and Chinese.
import { type Language, textsIn } from "../console/text/texts-in.ts";

const own = {
  running: ["Running on this machine, in front of", "正在本机运行，镜像源是"],
  heading: ["Fetched once, served from here", "只回源一次，之后由镜像提供"],
  lead: [
    "Huiyuan fetches each picture from the origin at its first request, checks that it is whole, and stores it. From then on it answers by itself, also when the origin does not.",
    "图片首次被访问时，回源（Huiyuan）从源站拉取，确认完整后存储。之后不再访问源站；源站出故障，图片也照常提供。",
  ],
  mirrorUrl: ["URL of a picture at the mirror:", "图片在镜像上的 URL："],
  keep: [
    "Ctrl-C ends the trial and removes its images. For a mirror that stays, see docs/start/quick-start.md, or run this in the folder of the clone:",
    "按 Ctrl-C 结束试用，图片随之删除。要长期运行，请看 docs/zh/start/quick-start.md，或在克隆出来的文件夹里执行：",
  ],
  originName: ["The sample origin", "示例源站"],
  waits: [
    "It waits {ms} ms before each answer, as a distant site would.",
    "每次响应前等待 {ms} 毫秒，如同远方的网站。",
  ],
  serving: ["Answers", "正常"],
  stopped: ["Stopped: answers 503", "已停止：返回 503"],
  reached: ["picture requests have reached it", "次图片请求到达过源站"],
  stop: ["Stop the origin", "停止源站"],
  storing: ["Storing the pictures …", "正在存储图片 …"],
  stopHint: ["Then reload this page: the pictures stay.", "然后刷新本页：图片都还在。"],
  stoppedHint: [
    "The origin is down, and every picture is still here. Reload as often as you like.",
    "源站已停，图片一张不少。可以反复刷新。",
  ],
  resume: ["Start it again", "恢复源站"],
  stopIncomplete: [
    "The origin still runs: the mirror has {stored} of {total} pictures. Press again to try once more.",
    "源站仍在运行：镜像只存下了 {total} 张图片中的 {stored} 张，请再按一次。",
  ],
  ownSite: ["Use your own site", "换成您的网站"],
  address: ["Address of your site, or of one of its pictures", "网站地址，或其中一张图片的地址"],
  ownHint: ["It is mirrored at once, on this machine only.", "立即生效，只在本机运行。"],
  use: ["Mirror it", "开始镜像"],
  looking: ["Looking at the site …", "正在查看该网站 …"],
  sampleSite: ["Back to the sample site", "回到示例网站"],
  compare: ["The origin and the mirror side by side", "源站与镜像对照"],
  slider: ["Place of the border between the two pictures", "两张图片分界线的位置"],
  mirror: ["Mirror", "镜像"],
  direct: ["Origin, asked directly", "直接访问源站"],
  first: ["Mirror, first request: a miss", "镜像，首次请求（未命中）"],
  hit: ["Mirror, again: a hit", "镜像，再次请求（命中）"],
  as: ["Mirror, as {form}", "镜像，转为 {form}"],
  made: ["made in {time}", "处理用时 {time}"],
  faster: ["{times} × as fast as asked directly", "速度是直接访问源站的 {times} 倍"],
  less: ["{percent} less", "小 {percent}"],
  more: ["{percent} more", "大 {percent}"],
  measuring: ["measuring …", "测量中 …"],
  earlier: ["stored before", "此前已存储"],
  measured: [
    "Times until the last byte, measured here; of origin and hit the medians. Choose WebP or AVIF to compare it.",
    "耗时在本机测得，到最后一个字节为止；源站与命中的耗时为中位数。选择 WebP 或 AVIF，可在上图中对照。",
  ],
  gallery: ["Pictures of the site", "网站的图片"],
  totals: ["{count} of {total} pictures are stored, {bytes}", "已存储 {count} / {total} 张，共 {bytes}"],
  medians: [
    "half of them were fetched within {miss}, and are now answered within {hit}",
    "拉取耗时中位数 {miss}，命中耗时中位数 {hit}",
  ],
  fetched: ["fetched in {time}", "回源 {time}"],
  nowIn: ["again in {time}", "再次 {time}"],
  failed: ["no picture: {status}", "没有图片：{status}"],
  broken: ["cut short by the site: not stored", "源站中途断开：未存储"],
  noStatus: ["no answer in time", "超时未响应"],
  processed: ["Processed on the way", "实时处理"],
  processedLead: [
    "The mirror makes these from its stored pictures at their first request, and stores them too. The origin is not asked.",
    "首次访问时由镜像用已存的原图生成并保存，不再访问源站。",
  ],
  noPicture: [
    "No picture is known yet. Huiyuan looks for <img> on the home page, of the same host and without a query. Give the address of a picture instead.",
    "还没有图片。回源在首页查找同一主机、不带参数的 <img>。请改填一张图片的地址。",
  ],
  webp: ["WebP", "WebP"],
  avif: ["AVIF", "AVIF"],
  crop: ["Cut to fit", "裁剪"],
  round: ["Round corners", "圆角"],
  watermark: ["A picture as watermark", "图片水印"],
  alias: ["By an alias", "样式别名"],
  noAddress: ["Type the address of a site, such as https://your.site", "请填写网站地址，例如 https://your.site"],
  badAddress: [
    "“{text}” is not the address of a web site. Use one such as https://your.site",
    "“{text}”不是网站地址，请填写形如 https://your.site 的地址",
  ],
  badPicture: [
    "“{text}” is not the address of a picture without a query, in UTF-8",
    "“{text}”不是图片地址：须为 UTF-8，且不带参数",
  ],
  itself: [
    "That is this mirror itself. Give the address of the site in front of which it shall stand.",
    "这是镜像自己的地址，请填写要镜像的网站。",
  ],
  noSite: ["{site} did not answer, so nothing was changed. {why}", "{site} 没有响应，未作任何更改。{why}"],
  noneFound: [
    "No picture was found on the home page of {site}, so nothing was changed. Give the address of one of its pictures.",
    "在 {site} 的首页没有找到图片，未作任何更改。请填写其中一张图片的地址。",
  ],
  refused: ["Nothing was changed. {why}", "未作任何更改。{why}"],
} as const;

export const trialTexts = (language: Language) => textsIn(() => language, own);
export type TrialTexts = ReturnType<typeof trialTexts>;

/** Why an input was refused, in the language of the page. */
export type Fault = (t: TrialTexts) => string;
