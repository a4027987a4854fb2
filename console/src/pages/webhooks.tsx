// Webhook endpoints, and subscribing a new one.
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { Dialog } from "../components/dialog";
import { CheckField, Form, TextField } from "../components/form";
import { moment, words } from "../components/format";
import { Badge, Empty, LoadState, Page } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";
import { Secret } from "../components/secret";
import { Table } from "../components/table";

type Endpoint = Schemas["WebhookEndpoint"];
type EventType = Schemas["SubscribeWebhookRequest"]["event_types"][number];

const EVENT_TYPES: readonly EventType[] = [
  "stream.started",
  "stream.ended",
  "stream.failed",
  "highlight.pending",
  "highlight.confirmed",
  "highlight.retracted",
  "highlight.relabeled",
  "subject.highlight",
  "clip.ready",
  "clip.failed",
  "export.ready",
  "export.failed",
  "export_batch.finished",
  "usage.threshold",
  "endpoint.disabled",
];

export default function Webhooks() {
  const [isOpen, setOpen] = useState(false);
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(api.GET("/v1/webhooks", { params: { query: { limit: 25, cursor: pager.cursor } }, signal })),
    [pager.cursor],
  );
  return (
    <Page
      title="Webhooks"
      lead="Endpoints of yours that are notified of streams, highlights, clips and exports."
      actions={
        <button type="button" class="primary" onClick={() => setOpen(true)}>
          Add an endpoint
        </button>
      }
    >
      <LoadState data={data} error={error} reload={reload} />
      {data?.data.length === 0 && <Empty title="No endpoint yet" />}
      {data && data.data.length > 0 && (
        <Table
          caption="Webhook endpoints, newest first"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            { name: "URL", cell: (row) => <a href={`/console/webhooks/${row.id}`}>{row.url}</a> },
            { name: "State", cell: (row) => <EndpointStatus of={row} /> },
            { name: "Events", cell: (row) => row.event_types.join(", ") || "all" },
            { name: "Description", cell: (row) => row.description || "–" },
            { name: "Created", cell: (row) => moment(row.created_at) },
          ]}
        />
      )}
      <PagerButtons pager={pager} next={data?.next_cursor} />
      {isOpen && <NewEndpoint onClose={() => setOpen(false)} onMade={reload} />}
    </Page>
  );
}

export function EndpointStatus({ of }: { of: Endpoint }) {
  if (of.status === "disabled") return <Badge tone="bad">disabled: {words(of.disabled_reason ?? "tenant")}</Badge>;
  if (of.failing_since) return <Badge tone="warning">failing since {moment(of.failing_since)}</Badge>;
  return <Badge tone="good">enabled</Badge>;
}

function NewEndpoint({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [types, setTypes] = useState<ReadonlySet<EventType>>(new Set());
  const [secret, setSecret] = useState<string>();
  const [retryKey] = useState(idempotencyKey);
  if (secret) {
    return (
      <Dialog title="The endpoint was added" onClose={onClose}>
        <Secret name="Signing secret" value={secret} />
        <p>Verify each message with it, using any Standard Webhooks library.</p>
      </Dialog>
    );
  }
  return (
    <Dialog title="Add an endpoint" onClose={onClose}>
      <Form
        submit="Add"
        onSubmit={async () => {
          const made = await unwrap(
            api.POST("/v1/webhooks/subscribe", {
              params: { header: { "Idempotency-Key": retryKey } },
              body: { url, description, event_types: [...types] },
            }),
          );
          onMade();
          if (made.secret) setSecret(made.secret);
          else onClose();
        }}
      >
        <TextField label="URL" type="url" required value={url} onValue={setUrl} hint="A public https URL that accepts POST." />
        <TextField label="Description" value={description} onValue={setDescription} />
        <fieldset>
          <legend>Events (none means all)</legend>
          <div class="choices">
            {EVENT_TYPES.map((type) => (
              <CheckField
                key={type}
                label={type}
                checked={types.has(type)}
                onValue={(isChosen) => {
                  const next = new Set(types);
                  if (isChosen) next.add(type);
                  else next.delete(type);
                  setTypes(next);
                }}
              />
            ))}
          </div>
        </fieldset>
      </Form>
    </Dialog>
  );
}
