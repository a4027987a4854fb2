// One connection: the events that 100ms sent, and what came of each.
import { useLocation, useRoute } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { Dialog } from "../components/dialog";
import { moment, words } from "../components/format";
import { Badge, Empty, Facts, LoadState, Page, ProblemNote, type Tone } from "../components/page";
import { Table } from "../components/table";
import { checksOf, ConnectionSecrets } from "./connections";

type Outcome = NonNullable<Schemas["InboundEvent"]["outcome"]>;

const POLL_MS = 3000;
const TONES: Partial<Record<Outcome, Tone>> = {
  started: "good",
  ended: "good",
  recording: "good",
  recovered: "good",
  too_late: "warning",
  refused: "bad",
  given_up: "bad",
};

export default function ConnectionPage() {
  const id = useRoute().params["id"] ?? "";
  const { route } = useLocation();
  const [rotated, setRotated] = useState<Schemas["Connection"]>();
  const path = { connection_id: id };
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/connections/{connection_id}", { params: { path }, signal })),
    [id],
  );
  const events = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/connections/{connection_id}/events", { params: { path, query: { limit: 100 } }, signal }),
      ),
    [id],
    POLL_MS,
  );
  return (
    <Page
      title={data?.name ?? "Connection"}
      actions={
        data && (
          <>
            <ActionButton
              confirm="The old secrets stay valid for a day. Enter the new ones at 100ms meanwhile."
              onAction={async () => {
                setRotated(
                  await unwrap(api.POST("/v1/connections/{connection_id}/rotate", { params: { path } })),
                );
                reload();
              }}
            >
              Rotate the secrets
            </ActionButton>
            <ActionButton
              confirm="The connection and its stored events are deleted. Its streams go on."
              onAction={async () => {
                await unwrap(api.DELETE("/v1/connections/{connection_id}", { params: { path } }));
                route("/console/connections");
              }}
            >
              Delete
            </ActionButton>
          </>
        )
      }
    >
      <LoadState data={data} error={error} reload={reload} />
      {data && (
        <Facts
          facts={[
            ["Webhook URL", <code>{data.webhook_url}</code>],
            ["Checks", checksOf(data)],
            ["Game", data.game ?? "by the title"],
            ["Title", data.title || "–"],
            ["Old secrets valid until", moment(data.previous_secrets_until)],
          ]}
        />
      )}
      <section>
        <h2>Events</h2>
        {events.error && !error && <ProblemNote error={events.error} onRetry={events.reload} />}
        {events.data?.data.length === 0 && (
          <Empty title="No event yet">
            <p>Start a live stream in the workspace. Its events show here within seconds.</p>
          </Empty>
        )}
        {events.data && events.data.data.length > 0 && (
          <Table
            caption="Events, newest first"
            rows={events.data.data}
            rowKey={(row) => row.id}
            columns={[
              { name: "Event", cell: (row) => row.type },
              {
                name: "Outcome",
                cell: (row) =>
                  row.outcome ? (
                    <Badge tone={TONES[row.outcome] ?? "neutral"}>{words(row.outcome)}</Badge>
                  ) : (
                    <Badge tone="live">waiting</Badge>
                  ),
              },
              { name: "Why", cell: (row) => row.detail || "–" },
              {
                name: "Stream",
                cell: (row) => (row.stream_id ? <a href={`/console/streams/${row.stream_id}`}>Open</a> : "–"),
              },
              { name: "Attempts", isNumber: true, cell: (row) => row.attempts },
              { name: "Received", cell: (row) => moment(row.received_at) },
            ]}
          />
        )}
      </section>
      {rotated && (
        <Dialog title="New secrets" onClose={() => setRotated(undefined)}>
          <ConnectionSecrets of={rotated} />
        </Dialog>
      )}
    </Page>
  );
}
