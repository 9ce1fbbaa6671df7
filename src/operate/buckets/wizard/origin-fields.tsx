// The wizard's fields about the place where the images are until now.
import type { ComponentChildren } from "preact";
import { type Option, Select, TextField, Toggle } from "../../console/parts/fields.tsx";
import { PRESETS } from "../page/tree.ts";
import { type TextName, t } from "../words.ts";
import { type Answers, hasEndpoint, isOnSite, isSite, usesUrl, type Vendor, withScheme } from "./scenarios.ts";

export interface AnswersProps {
  readonly answers: Answers;
  readonly set: (change: Partial<Answers>) => void;
  /** The fault in a field that the server has found. */
  readonly fault: (name: keyof Answers) => ComponentChildren;
}

type Texts = { [Name in keyof Answers]: Answers[Name] extends string ? Name : never }[keyof Answers];

type FieldName = Exclude<Texts, "vendor">;

interface AnswerFieldProps
  extends AnswersProps,
    Partial<Pick<Parameters<typeof TextField>[0], "label" | "hint" | "tidy" | "more">> {
  readonly name: FieldName;
}

/** The label and the hint of fields that always have the same. */
const WORDS: Partial<Record<FieldName, readonly [label: TextName, hint?: TextName]>> = {
  bucket: ["bucketName", "bucketNameHint"],
  host: ["domain", "domainHint"],
  uploadBucket: ["newBucketName", "newBucketNameHint"],
  hostHeader: ["hostHeader", "hostHeaderHint"],
  referer: ["refererHeader", "refererHeaderHint"],
  remoteBucket: ["remoteBucket"],
  region: ["region"],
};

/** A field for one text of the answers. */
export function AnswerField({ name, answers, set, fault, ...field }: AnswerFieldProps) {
  const [label, hint] = WORDS[name] ?? [];
  const words = { label: label ? t(label) : name, hint: hint && t(hint) };
  const own = { value: answers[name], fault: fault(name), set: (value: string) => set({ [name]: value }) };
  return <TextField {...words} {...field} {...own} />;
}

export function OriginFields(props: AnswersProps) {
  const { answers, set } = props;
  const mayBePrivate = isSite(answers) || hasEndpoint(answers) || answers.allowPrivate;
  return (
    <div class="stack">
      {isOnSite(answers.scenario) ? (
        <UrlField {...props} label={t("siteUrl")} hint={t("siteUrlHint")} example="https://src-img.example.com" />
      ) : (
        <CloudFields {...props} />
      )}
      {mayBePrivate && (
        <Toggle
          label={t("allowPrivate")}
          hint={t("allowPrivateHint")}
          value={answers.allowPrivate}
          set={(allowPrivate) => set({ allowPrivate })}
        />
      )}
      {isSite(answers) && <RareFields {...props} />}
    </div>
  );
}

interface UrlFieldProps extends AnswersProps {
  readonly name?: "url" | "endpoint";
  readonly label: string;
  readonly hint?: string;
  readonly example: string;
}

function UrlField({ name = "url", example, ...props }: UrlFieldProps) {
  const more = { type: "url", spellcheck: false, required: true, placeholder: example } as const;
  return <AnswerField {...props} name={name} tidy={withScheme} more={more} />;
}

function RareFields(props: AnswersProps) {
  const { answers, set, fault } = props;
  return (
    <details open={fault("hostHeader") !== undefined || fault("referer") !== undefined}>
      <summary>{t("rarelyNeeded")}</summary>
      <div class="halves">
        <AnswerField {...props} name="hostHeader" more={{ placeholder: "img.example.com" }} />
        <AnswerField {...props} name="referer" more={{ placeholder: "https://www.example.com/" }} />
        <Toggle
          label={t("usesQuery")}
          hint={t("usesQueryHint")}
          value={answers.usesQuery}
          set={(usesQuery) => set({ usesQuery })}
        />
      </div>
    </details>
  );
}

function CloudFields(props: AnswersProps) {
  const { set } = props;
  const { vendor } = props.answers;
  return (
    <>
      <div class="halves">
        <Select
          label={t("cloud")}
          options={[
            ["domain", t("vendorDomain")],
            ["qiniu", t("vendorQiniu")],
            ...PRESETS.map(([preset, name]): Option<Vendor> => [preset, t(name)]),
          ]}
          value={vendor}
          set={(chosen) => set({ vendor: chosen, region: "", endpoint: "" })}
        />
        {vendor === "domain" && (
          <UrlField {...props} label={t("cloudUrl")} hint={t("siteUrlHint")} example="https://pictures.example.com" />
        )}
        {vendor === "qiniu" && (
          <UrlField
            {...props}
            label={t("qiniuHost")}
            hint={t("qiniuHostHint")}
            example="http://qiniu-origin.example.com"
          />
        )}
        {!usesUrl(props.answers) && <StoreFields {...props} />}
      </div>
      {vendor !== "domain" && <KeyFields {...props} />}
    </>
  );
}

function KeyFields(props: AnswersProps) {
  const { accessKey, secretKey } = props.answers;
  return (
    <div class="halves">
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
    </div>
  );
}

function StoreFields(props: AnswersProps) {
  const example = PRESETS.find(([preset]) => preset === props.answers.vendor)?.[2] ?? "";
  return (
    <>
      <AnswerField {...props} name="remoteBucket" more={{ required: true, placeholder: "example-pictures" }} />
      {example !== "" && <AnswerField {...props} name="region" more={{ required: true, placeholder: example }} />}
      {hasEndpoint(props.answers) && (
        <UrlField {...props} name="endpoint" label={t("serviceUrl")} example="http://minio.example.com:9000" />
      )}
    </>
  );
}
