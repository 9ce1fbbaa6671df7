// The nodes of a cluster, as a view among the logs; and the note about a change that they have confirmed.
import { get } from "../console/api.ts";
import { useLoaded } from "../console/load.ts";
import { Badge, Card, Empty, Show, Table } from "../console/parts/parts.tsx";
import { ago, count, duration, milliseconds, moment } from "../console/text/format.ts";
import type { Confirmation, NodesAnswer } from "./contract.ts";
import { t } from "./words.ts";

/** Says how many nodes serve a change already. */
export function ConfirmedNote({ confirmed, nodes, othersWithinMs }: Confirmation) {
  return (
    <p class="hint" role="status">
      {t("confirmed", { confirmed: count(confirmed), nodes: count(nodes) })}{" "}
      {othersWithinMs > 0 && t("othersWithin", { time: duration(othersWithinMs / 1_000) })}
    </p>
  );
}

export function Nodes() {
  const nodes = useLoaded((signal) => get<NodesAnswer>("/nodes", {}, signal), { everyMs: 2_000 });
  return (
    <Card title={t("nodes")} about={t("nodesAbout")}>
      <Show of={nodes.state} reload={nodes.reload} lines={4}>
        {({ nodes: all }) =>
          all.length === 0 ? <Empty title={t("isAlone")} hint={t("isAloneHint")} /> : <Rows all={all} />
        }
      </Show>
    </Card>
  );
}

function Rows({ all }: { readonly all: NodesAnswer["nodes"] }) {
  const self = all.find(({ isSelf }) => isSelf) ?? all[0];
  const differs = (is: boolean) => is && <Badge tone="bad">{t("differs")}</Badge>;
  return (
    <Table
      t={t}
      head={["node", "version", "settingsDigest", "started", "requests", "lag"]}
      numbers={["requests", "lag"]}
    >
      {all.map(({ name, isSelf, version, settings, startedAt, requests, lagMs }) => (
        <tr key={`${name} ${startedAt}`}>
          <th scope="row">
            {name} {isSelf && <Badge tone="plain">{t("isThisNode")}</Badge>}
          </th>
          <td>
            {version} {differs(version !== self?.version)}
          </td>
          <td class="mono">
            {settings} {differs(settings !== self?.settings)}
          </td>
          <td title={moment(startedAt)}>{ago(startedAt)}</td>
          <td class="number">{count(requests)}</td>
          <td class="number">{milliseconds(lagMs)}</td>
        </tr>
      ))}
    </Table>
  );
}
