// The wizard's fields about the place where the images are until now.
import { TextField, Toggle } from "../buckets/inputs.tsx";
import { PRESETS } from "../buckets/tree.ts";
import { Field } from "../parts/parts.tsx";
import { t } from "../text/text.ts";
import { type Answers, isOnSite, type Vendor } from "./scenarios.ts";

export interface AnswersProps {
  readonly answers: Answers;
  readonly set: (change: Partial<Answers>) => void;
}

export function OriginFields({ answers, set }: AnswersProps) {
  return (
    <div class="stack">
      <div class="halves">
        {isOnSite(answers.scenario) ? (
          <SiteFields answers={answers} set={set} />
        ) : (
          <CloudFields answers={answers} set={set} />
        )}
      </div>
      <div class="halves">
        {isOnSite(answers.scenario) && (
          <Toggle
            label={t("usesQuery")}
            hint={t("usesQueryHint")}
            value={answers.usesQuery}
            set={(usesQuery) => set({ usesQuery })}
          />
        )}
        <Toggle
          label={t("allowPrivate")}
          hint={t("allowPrivateHint")}
          value={answers.allowPrivate}
          set={(allowPrivate) => set({ allowPrivate })}
        />
      </div>
    </div>
  );
}

const URL_INPUT = { type: "url", required: true, pattern: "https?://.+" } as const;

function SiteFields({ answers: { url, hostHeader, referer }, set }: AnswersProps) {
  return (
    <>
      <TextField
        label={t("siteUrl")}
        hint={t("siteUrlHint")}
        value={url}
        set={(value) => set({ url: value })}
        more={{ ...URL_INPUT, placeholder: "https://src-img.example.com" }}
      />
      <TextField
        label={t("hostHeader")}
        hint={t("hostHeaderHint")}
        value={hostHeader}
        set={(value) => set({ hostHeader: value })}
        more={{ placeholder: "img.example.com" }}
      />
      <TextField
        label={t("refererHeader")}
        hint={t("refererHeaderHint")}
        value={referer}
        set={(value) => set({ referer: value })}
        more={{ placeholder: "https://www.example.com/" }}
      />
    </>
  );
}

/** They have no address of their own. */
const OWN_SERVERS: readonly Vendor[] = ["minio", "ceph"];

function CloudFields({ answers, set }: AnswersProps) {
  const { vendor, url, accessKey, secretKey } = answers;
  const isQiniu = vendor === "qiniu";
  return (
    <>
      <Field
        label={t("cloud")}
        control={(properties) => (
          <select
            {...properties}
            value={vendor}
            onChange={({ currentTarget }) => set({ vendor: currentTarget.value as Vendor, region: "", endpoint: "" })}
          >
            <option value="qiniu">{t("vendorQiniu")}</option>
            {PRESETS.map(([preset, name]) => (
              <option key={preset} value={preset}>
                {t(name)}
              </option>
            ))}
          </select>
        )}
      />
      {isQiniu ? (
        <TextField
          label={t("qiniuHost")}
          hint={t("qiniuHostHint")}
          value={url}
          set={(value) => set({ url: value })}
          more={{ ...URL_INPUT, placeholder: "http://qiniu-origin.example.com" }}
        />
      ) : (
        <StoreFields answers={answers} set={set} />
      )}
      <TextField
        label="AccessKey"
        hint={t("accessKeyHint")}
        value={accessKey}
        set={(value) => set({ accessKey: value })}
        more={{ required: secretKey !== "" }}
      />
      <TextField
        label="SecretKey"
        hint={t("secretKeyHint")}
        value={secretKey}
        set={(value) => set({ secretKey: value })}
        more={{ class: "secret", spellcheck: false, required: accessKey !== "" }}
      />
    </>
  );
}

function StoreFields({ answers: { vendor, region, endpoint, remoteBucket }, set }: AnswersProps) {
  const example = PRESETS.find(([preset]) => preset === vendor)?.[2] ?? "";
  return (
    <>
      <TextField
        label={t("remoteBucket")}
        value={remoteBucket}
        set={(value) => set({ remoteBucket: value })}
        more={{ required: true, placeholder: "example-pictures" }}
      />
      {example !== "" && (
        <TextField
          label={t("cloudRegion")}
          value={region}
          set={(value) => set({ region: value })}
          more={{ required: true, placeholder: example }}
        />
      )}
      {OWN_SERVERS.includes(vendor) && (
        <TextField
          label={t("serviceUrl")}
          value={endpoint}
          set={(value) => set({ endpoint: value })}
          more={{ ...URL_INPUT, placeholder: "http://minio.example.com:9000" }}
        />
      )}
    </>
  );
}
