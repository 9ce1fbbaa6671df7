// An image as processing makes it, beside what the original costs: bytes, pixels and the time of loading.
import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Problem, urlOf } from "../../console/api.ts";
import { InputField } from "../../console/parts/fields.tsx";
import { Card, Copied, Scroll } from "../../console/parts/parts.tsx";
import { bytes, milliseconds, percent } from "../../console/text/format.ts";
import type { StatAnswer } from "../contract.ts";
import { t } from "../words.ts";
import { Operations } from "./operations.tsx";

export interface PreviewProps {
  readonly bucket: string;
  readonly imageKey: string;
  /** The download URL, without a token; undefined: the server does not know its port. */
  readonly url: string | undefined;
  readonly object: NonNullable<StatAnswer["object"]>;
  /** Empty: none. */
  readonly instruction: Signal<string>;
}

/** The measurements of the browser for one image. */
interface Loading {
  readonly bytes?: number;
  readonly milliseconds?: number;
  readonly pixels?: string;
}

export function Preview({ bucket, imageKey: key, url, object, instruction }: PreviewProps) {
  const fault = useSignal<string | undefined>(undefined);
  const loadings = useSignal<ReadonlyMap<string, Loading>>(new Map());
  const source = useComputed(() =>
    urlOf("/objects/image", { bucket, key, instruction: instruction.value || undefined }),
  );
  /** An image says only that it failed; the same call says why. */
  const failed = async () => {
    fault.value = t("previewFailed");
    const answer = await fetch(source.value).catch(() => undefined);
    const { message }: Partial<Problem> = (await answer?.json().catch(() => undefined)) ?? {};
    if (message !== undefined) fault.value = message;
  };
  const image = useRef<HTMLImageElement>(null);
  const loaded = () => {
    fault.value = undefined;
    const { naturalWidth, naturalHeight, currentSrc = "" } = image.current ?? {};
    const pixels = naturalWidth ? { pixels: `${naturalWidth} × ${naturalHeight} px` } : {};
    const next = { ...loadings.value.get(instruction.value), ...measured(currentSrc), ...pixels };
    loadings.value = new Map([...loadings.value, [instruction.value, next]]);
  };
  return (
    <Card title={t("preview")} isStack>
      <div class="preview">
        <img
          ref={image}
          hidden={fault.value !== undefined}
          src={source}
          alt={key}
          onLoad={loaded}
          onError={() => void failed()}
        />
      </div>
      <Costs
        original={{ ...loadings.value.get(""), bytes: object.size }}
        preview={(instruction.value !== "" && fault.value === undefined && loadings.value.get(instruction.value)) || {}}
      />
      <Operations write={(text) => (instruction.value = text)} />
      <InputField
        label={t("instruction")}
        hint={t("instructionHint")}
        fault={fault.value}
        class="mono"
        value={instruction.value}
        placeholder="imageView2/2/w/800"
        spellcheck={false}
        set={(text) => (instruction.value = text.trim().replace(/^\?/, ""))}
      />
      {url !== undefined && <DownloadUrl url={url} instruction={instruction.value} />}
    </Card>
  );
}

/** Empty if the browser showed a copy that it had. The list of measurements is bounded, so old ones are removed. */
function measured(url: string): Loading {
  const entry = performance.getEntriesByName(url, "resource").at(-1);
  if (!(entry instanceof PerformanceResourceTiming)) return {};
  performance.clearResourceTimings();
  const { encodedBodySize, duration } = entry;
  return { milliseconds: duration, ...(encodedBodySize > 0 && { bytes: encodedBodySize }) };
}

const COSTS = {
  size: ({ bytes: value }: Loading) => (value === undefined ? "–" : bytes(value)),
  dimensions: ({ pixels = "–" }: Loading) => pixels,
  loadTime: ({ milliseconds: value }: Loading) => (value === undefined ? "–" : milliseconds(value)),
};

function Costs({ original, preview }: Readonly<Record<"original" | "preview", Loading>>) {
  const share = original.bytes && preview.bytes && preview.bytes / original.bytes - 1;
  const change = share && t(share < 0 ? "smallerBy" : "largerBy", { share: percent(Math.abs(share)) });
  return (
    <div>
      <Scroll>
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col" class="number">
                {t("original")}
              </th>
              <th scope="col" class="number">
                {t("preview")}
              </th>
            </tr>
          </thead>
          <tbody>
            {(["size", "dimensions", "loadTime"] as const).map((name) => (
              <tr key={name}>
                <th scope="row">{t(name)}</th>
                <td class="number">{COSTS[name](original)}</td>
                <td class="number">
                  {COSTS[name](preview)}
                  {/* Its line is there before it is known. */}
                  {name === "size" && <div class="hint">{change || "\u00a0"}</div>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="hint">{t("loadTimeHint")}</p>
    </div>
  );
}

function DownloadUrl({ url, instruction }: { readonly url: string; readonly instruction: string }) {
  const whole = instruction === "" ? url : `${url}?${encodeURI(instruction).replace(/[&#]/g, encodeURIComponent)}`;
  return (
    <div>
      <Copied about={t("downloadUrl")} text={whole} />
      <p class="hint">{t("downloadUrlHint")}</p>
    </div>
  );
}
