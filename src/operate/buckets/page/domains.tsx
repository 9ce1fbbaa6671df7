// The domains of a bucket, and the mirror source of each.
import { Badge, Card, Empty } from "../../console/parts/parts.tsx";
import { listAt, textAt, valueAt } from "../../console/tree.ts";
import { t } from "../words.ts";
import { ChoiceLeaf, Fields, type Form, formAt, LinesLeaf, OtherSettings, RemoveButton, TextLeaf } from "../../settings/page/fields.tsx";
import { originName } from "./list.tsx";
import { AddOrigin, Origin } from "./origins.tsx";
import { Rules } from "./rules.tsx";

export function Domains({ form }: { readonly form: Form }) {
  const domains = listAt(form.value("domains"), []);
  return (
    <div class="stack">
      {domains.length === 0 && (
        <Empty title={t("noDomains")}>
          <p>{t("noDomainsHint")}</p>
        </Empty>
      )}
      {domains.map((domain, place) => (
        <Domain
          key={place}
          form={formAt(form, ["domains", place])}
          list={form}
          place={place}
          host={textAt(domain, ["host"])}
        />
      ))}
      {!form.isReadOnly && (
        <div>
          <button type="button" onClick={() => form.set(["domains", domains.length], { host: "" })}>
            {t("addDomain")}
          </button>
        </div>
      )}
    </div>
  );
}

interface DomainProps {
  readonly form: Form;
  /** The bucket's form. */
  readonly list: Form;
  readonly place: number;
  readonly host: string;
}

function Domain({ form, list, place, host }: DomainProps) {
  const isRemoved = list.isRemoved(["domains", place]);
  const isMirrored = form.value("mirror") !== undefined;
  const twin = twinOf(list, place);
  const title = host === "*" ? t("everyHost") : host === "" ? t("newDomainTitle") : host;
  return (
    <Card
      title={title}
      actions={
        <>
          {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
          <RemoveButton form={list} path={["domains", place]} name={title} />
        </>
      }
    >
      {isRemoved && <p class="note warn">{t("domainGoes", { host: title })}</p>}
      <fieldset class="stack" disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <Fields>
          <TextLeaf form={form} path={["host"]} label={t("domain")} hint={t("hostHint")} />
        </Fields>
        {twin !== "" && <p class="hint">{t("sameMirror", { host: twin })}</p>}
        {isMirrored ? <Mirror form={formAt(form, ["mirror"])} /> : <p class="hint">{t("noMirrorHint")}</p>}
        {!form.isReadOnly && (
          <div class="row">
            {isMirrored ? (
              <button type="button" class="quiet" onClick={() => form.set(["mirror"], undefined)}>
                {t("removeMirror")}
              </button>
            ) : (
              <button type="button" onClick={() => form.set(["mirror"], { origins: [{ type: "site", url: "" }] })}>
                {t("addMirror")}
              </button>
            )}
          </div>
        )}
      </fieldset>
    </Card>
  );
}

/** The host of an earlier domain whose mirror source is equal: an alias of YAML may stand for it in the file. */
function twinOf(list: Form, place: number): string {
  const own = JSON.stringify(list.value("domains", place, "mirror"));
  const earlier = listAt(list.value("domains"), []).slice(0, place);
  const twin = earlier.find((each) => own !== undefined && JSON.stringify(valueAt(each, ["mirror"])) === own);
  return textAt(twin, ["host"]);
}

/** The settings of a mirror source that have fields here. */
const SHOWN = {
  "": ["type", "freshness", "headMiss", "negativeTtl", "origins", "failoverOn", "rules"],
  freshness: ["mode", "ttl"],
};

function Mirror({ form }: { readonly form: Form }) {
  const origins = listAt(form.value("origins"), []);
  const isRevalidated = textAt(form.value("freshness", "mode"), [], "never") !== "never";
  return (
    <>
      <Fields>
        <ChoiceLeaf
          form={form}
          path={["type"]}
          label={t("mirrorType")}
          choices={[
            ["originals", "typeOriginals"],
            ["everything", "typeEverything"],
          ]}
        />
        <ChoiceLeaf
          form={form}
          path={["freshness", "mode"]}
          label={t("freshness")}
          choices={[
            ["never", "freshNever"],
            ["ttl", "freshTtl"],
            ["origin", "freshOrigin"],
          ]}
        />
        {isRevalidated && (
          <TextLeaf
            form={form}
            path={["freshness", "ttl"]}
            label={t("freshTtlField")}
            hint={t("durationHint")}
            placeholder="1d"
          />
        )}
        <ChoiceLeaf
          form={form}
          path={["headMiss"]}
          label={t("headMiss")}
          choices={[
            ["origin", "headOrigin"],
            ["store", "headStore"],
          ]}
        />
        <TextLeaf
          form={form}
          path={["negativeTtl"]}
          label={t("negativeTtl")}
          hint={t("durationHint")}
          placeholder="30s"
        />
      </Fields>
      {origins.map((origin, place) => (
        <Origin
          key={place}
          form={formAt(form, ["origins", place])}
          mirror={form}
          place={place}
          name={originName(origin)}
        />
      ))}
      {!form.isReadOnly && (
        <div class="row">
          <AddOrigin form={form} />
        </div>
      )}
      {origins.length > 1 && (
        <div class="stack inset">
          <p class="hint">{t("originOrder")}</p>
          <Fields>
            <LinesLeaf
              form={form}
              path={["failoverOn"]}
              label={t("failoverOn")}
              hint={t("failoverOnHint")}
              placeholder={"5xx\ntimeout\nconnect"}
            />
          </Fields>
        </div>
      )}
      <Rules form={form} />
      <OtherSettings form={form} shown={SHOWN} />
    </>
  );
}
