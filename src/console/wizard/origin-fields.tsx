// The wizard's fields about the place where the images are until now.
import { TextField, Toggle } from "../buckets/inputs.tsx";
import { PRESETS } from "../buckets/tree.ts";
import { Field } from "../parts/parts.tsx";
import { t } from "../text/text.ts";
import { type Answers, isOnSite, type Vendor } from "./scenarios.ts";

export interface AnswersProps {
  readonly answers: Answers;
  readonly set: (change: Partial<Answers>) => void;
  /** The fault that the server found in the setting of a field. */
  readonly fault: (name: keyof Answers) => string | undefined;
}

type Texts = { [Name in keyof Answers]: Answers[Name] extends string ? Name : never }[keyof Answers];

interface AnswerFieldProps extends AnswersProps, Pick<Parameters<typeof TextField>[0], "label" | "hint" | "more"> {
  readonly name: Exclude<Texts, "vendor">;
}

/** A field for one text of the answers. */
export function AnswerField({ name, answers, set, fault, ...field }: AnswerFieldProps) {
  return <TextField {...field} value={answers[name]} fault={fault(name)} set={(value) => set({ [name]: value })} />;
}

export function OriginFields(props: AnswersProps) {
  const { answers, set } = props;
  return (
    <div class="stack">
      <div class="halves">{isOnSite(answers.scenario) ? <SiteFields {...props} /> : <CloudFields {...props} />}</div>
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

function SiteFields(props: AnswersProps) {
  return (
    <>
      <AnswerField
        {...props}
        name="url"
        label={t("siteUrl")}
        hint={t("siteUrlHint")}
        more={{ ...URL_INPUT, placeholder: "https://src-img.example.com" }}
      />
      <AnswerField
        {...props}
        name="hostHeader"
        label={t("hostHeader")}
        hint={t("hostHeaderHint")}
        more={{ placeholder: "img.example.com" }}
      />
      <AnswerField
        {...props}
        name="referer"
        label={t("refererHeader")}
        hint={t("refererHeaderHint")}
        more={{ placeholder: "https://www.example.com/" }}
      />
    </>
  );
}

/** They have no address of their own. */
const OWN_SERVERS: readonly Vendor[] = ["minio", "ceph"];

function CloudFields(props: AnswersProps) {
  const { set } = props;
  const { vendor, accessKey, secretKey } = props.answers;
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
        <AnswerField
          {...props}
          name="url"
          label={t("qiniuHost")}
          hint={t("qiniuHostHint")}
          more={{ ...URL_INPUT, placeholder: "http://qiniu-origin.example.com" }}
        />
      ) : (
        <StoreFields {...props} />
      )}
      <AnswerField
        {...props}
        name="accessKey"
        label="AccessKey"
        hint={t("accessKeyHint")}
        more={{ required: secretKey !== "" }}
      />
      <AnswerField
        {...props}
        name="secretKey"
        label="SecretKey"
        hint={t("secretKeyHint")}
        more={{ class: "secret", spellcheck: false, required: accessKey !== "" }}
      />
    </>
  );
}

function StoreFields(props: AnswersProps) {
  const { vendor } = props.answers;
  const example = PRESETS.find(([preset]) => preset === vendor)?.[2] ?? "";
  return (
    <>
      <AnswerField
        {...props}
        name="remoteBucket"
        label={t("remoteBucket")}
        more={{ required: true, placeholder: "example-pictures" }}
      />
      {example !== "" && (
        <AnswerField
          {...props}
          name="region"
          label={t("cloudRegion")}
          more={{ required: true, placeholder: example }}
        />
      )}
      {OWN_SERVERS.includes(vendor) && (
        <AnswerField
          {...props}
          name="endpoint"
          label={t("serviceUrl")}
          more={{ ...URL_INPUT, placeholder: "http://minio.example.com:9000" }}
        />
      )}
    </>
  );
}
