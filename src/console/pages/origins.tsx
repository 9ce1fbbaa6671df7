// The origins: whether they answer, and how much they are asked.
import type { OriginsAnswer } from "../answers.ts";
import { get } from "../api.ts";
import { useLoaded } from "../load.ts";
import { Badge, Card, Empty, Page, Scroll, Show, type Tone } from "../parts/parts.tsx";
import { count, duration } from "../text/format.ts";
import { type TextName, t } from "../text/text.ts";

const STATES: Readonly<Record<string, readonly [Tone, TextName]>> = {
  closed: ["good", "answers"],
  "half-open": ["warn", "isTried"],
  open: ["bad", "isAway"],
};

export function OriginsPage() {
  const origins = useLoaded((signal) => get<OriginsAnswer>("/origins", {}, signal), { everyMs: 2_000 });
  return (
    <Page title={t("origins")} about={t("originsAbout")}>
      <Show of={origins.state} reload={origins.reload}>
        {({ origins: all }) =>
          all.length === 0 ? (
            <Empty title={t("noOrigins")}>
              <p>{t("noOriginsHint")}</p>
            </Empty>
          ) : (
            <Card>
              <Scroll>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">{t("origin")}</th>
                      <th scope="col">{t("state")}</th>
                      <th scope="col" class="number">
                        {t("running")}
                      </th>
                      <th scope="col" class="number">
                        {t("waiting")}
                      </th>
                      <th scope="col">{t("pause")}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {all.map((origin) => (
                      <Row key={origin.name} origin={origin} />
                    ))}
                  </tbody>
                </table>
              </Scroll>
            </Card>
          )
        }
      </Show>
    </Page>
  );
}

function Row({
  origin: { name, state, running, waiting, pausedMs },
}: {
  readonly origin: OriginsAnswer["origins"][number];
}) {
  const [tone, words] = STATES[state] ?? ["plain", "isTried"];
  return (
    <tr>
      <td class="long mono">{name}</td>
      <td>
        <Badge tone={tone}>{t(words)}</Badge>
      </td>
      <td class="number">{count(running)}</td>
      <td class="number">{count(waiting)}</td>
      <td>{pausedMs > 0 ? duration(pausedMs / 1_000) : "–"}</td>
    </tr>
  );
}
