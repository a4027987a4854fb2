// One webhook endpoint: its deliveries with every attempt, and sending them again.
import { useLocation, useRoute } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { Dialog } from "../components/dialog";
import { Form, SelectField, TextField } from "../components/form";
import { duration, moment } from "../components/format";
import { Badge, Empty, Facts, LoadState, Page, type Tone } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";
import { Secret } from "../components/secret";
import { Table } from "../components/table";
import { useToast } from "../components/toast";
import { EndpointStatus } from "./webhooks";

type Delivery = Schemas["Delivery"];
type Status = Delivery["status"];

const POLL_MS = 3000;
const OVERLAP_SECONDS = 86_400;
const HOUR_MS = 3_600_000;
const TONES: Record<Status, Tone> = { pending: "live", succeeded: "good", failed: "bad", cancelled: "neutral" };

export default function Webhook() {
  const id = useRoute().params["id"] ?? "";
  const { route } = useLocation();
  const [secret, setSecret] = useState<string>();
  const [isReplaying, setReplaying] = useState(false);
  const path = { endpoint_id: id };
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/webhooks/{endpoint_id}", { params: { path }, signal })),
    [id],
  );
  async function set(status: Schemas["WebhookEndpointStatus"]) {
    await unwrap(api.PATCH("/v1/webhooks/{endpoint_id}", { params: { path }, body: { status } }));
    reload();
  }
  return (
    <Page
      title={data?.url ?? "Webhook endpoint"}
      lead={data?.description}
      actions={
        data && (
          <>
            <ActionButton
              done="Test event sent: see its delivery below"
              onAction={async () => {
                await unwrap(api.POST("/v1/webhooks/{endpoint_id}/test", { params: { path } }));
              }}
            >
              Send a test
            </ActionButton>
            <button type="button" onClick={() => setReplaying(true)}>
              Replay events
            </button>
            <ActionButton
              confirm="Messages are signed with both secrets for a day. Put the new one in your receiver meanwhile."
              onAction={async () => {
                const rotated = await unwrap(
                  api.POST("/v1/webhooks/{endpoint_id}/rotate", {
                    params: { path, header: { "Idempotency-Key": idempotencyKey() } },
                    body: { overlap: OVERLAP_SECONDS },
                  }),
                );
                setSecret(rotated.secret ?? undefined);
                reload();
              }}
            >
              Rotate the secret
            </ActionButton>
            {data.status === "enabled" ? (
              <ActionButton confirm="No event is sent to it until you enable it again." onAction={() => set("disabled")}>
                Disable
              </ActionButton>
            ) : (
              <ActionButton done="Endpoint enabled" onAction={() => set("enabled")}>
                Enable
              </ActionButton>
            )}
            <ActionButton
              confirm="The endpoint and its deliveries are deleted for good."
              onAction={async () => {
                await unwrap(api.DELETE("/v1/webhooks/{endpoint_id}", { params: { path } }));
                route("/console/webhooks");
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
        <>
          <Facts
            facts={[
              ["State", <EndpointStatus of={data} />],
              ["Events", data.event_types.join(", ") || "all"],
              ["Old secret valid until", moment(data.previous_secret_until)],
              ["Created", moment(data.created_at)],
            ]}
          />
          <Deliveries endpoint={id} />
        </>
      )}
      {secret && (
        <Dialog title="New signing secret" onClose={() => setSecret(undefined)}>
          <Secret name="Signing secret" value={secret} />
        </Dialog>
      )}
      {isReplaying && <Replay endpoint={id} onClose={() => setReplaying(false)} />}
    </Page>
  );
}

function Deliveries({ endpoint }: { endpoint: string }) {
  const [status, setStatus] = useState<Status | "">("");
  const [shown, setShown] = useState<string>();
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/webhooks/{endpoint_id}/deliveries", {
          params: {
            path: { endpoint_id: endpoint },
            query: { limit: 25, cursor: pager.cursor, status: status || undefined },
          },
          signal,
        }),
      ),
    [endpoint, status, pager.cursor],
    POLL_MS,
  );
  return (
    <section>
      <h2>Deliveries</h2>
      <SelectField
        label="State"
        value={status}
        onValue={setStatus}
        options={[
          ["", "All"],
          ["pending", "Pending"],
          ["succeeded", "Succeeded"],
          ["failed", "Failed"],
          ["cancelled", "Canceled"],
        ]}
      />
      <LoadState data={data} error={error} reload={reload} />
      {data?.data.length === 0 && (
        <Empty title="No delivery here">
          <p>Send a test to see one.</p>
        </Empty>
      )}
      {data && data.data.length > 0 && (
        <Table
          caption="Deliveries, newest first"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            {
              name: "Event",
              cell: (row) => (
                <button type="button" class="link" onClick={() => setShown(row.id)}>
                  {row.event_type}
                </button>
              ),
            },
            { name: "State", cell: (row) => <Badge tone={TONES[row.status]}>{row.status}</Badge> },
            { name: "Answer", cell: answerOf },
            { name: "Attempts", isNumber: true, cell: (row) => row.attempts },
            { name: "Next attempt", cell: (row) => moment(row.next_attempt_at) },
            { name: "Created", cell: (row) => moment(row.created_at) },
            { name: "Actions", cell: (row) => <Redeliver of={row} onDone={reload} /> },
          ]}
        />
      )}
      <PagerButtons pager={pager} next={data?.next_cursor} />
      {shown && <DeliveryDialog id={shown} onClose={() => setShown(undefined)} />}
    </section>
  );
}

function answerOf(of: Delivery): string {
  if (of.last_status_code) return `HTTP ${of.last_status_code}`;
  return of.last_error ?? "–";
}

function Redeliver({ of, onDone }: { of: Delivery; onDone: () => void }) {
  return (
    <ActionButton
      label={`Send again: ${of.event_type}`}
      done={`${of.event_type} is sent again`}
      onAction={async () => {
        await unwrap(
          api.POST("/v1/webhooks/deliveries/{delivery_id}/redeliver", { params: { path: { delivery_id: of.id } } }),
        );
        onDone();
      }}
    >
      Send again
    </ActionButton>
  );
}

function DeliveryDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(api.GET("/v1/webhooks/deliveries/{delivery_id}", { params: { path: { delivery_id: id } }, signal })),
    [id],
    POLL_MS,
  );
  return (
    <Dialog title={data?.event_type ?? "Delivery"} onClose={onClose}>
      <LoadState data={data} error={error} reload={reload} />
      {data && (
        <>
          <p class="quiet">
            webhook-id <code>{data.event_id}</code>
          </p>
          <Table
            caption="Attempts"
            rows={data.history}
            rowKey={(row) => String(row.number)}
            columns={[
              { name: "Attempt", isNumber: true, cell: (row) => row.number },
              { name: "At", cell: (row) => moment(row.at) },
              { name: "Took", isNumber: true, cell: (row) => duration(row.duration) },
              { name: "Answer", cell: (row) => row.status_code ?? row.error ?? "–" },
              { name: "Body", cell: (row) => <code>{row.response || "–"}</code> },
            ]}
          />
          <h3>Payload</h3>
          <pre role="region" tabIndex={0} aria-label="Payload">
            {data.data ? JSON.stringify(data.data, null, 2) : "Your key has no scope `read`."}
          </pre>
        </>
      )}
    </Dialog>
  );
}

function Replay({ endpoint, onClose }: { endpoint: string; onClose: () => void }) {
  const toast = useToast();
  const [from, setFrom] = useState(() => localTime(Date.now() - HOUR_MS));
  const [to, setTo] = useState(() => localTime(Date.now()));
  return (
    <Dialog title="Replay events" onClose={onClose}>
      <p>Events of this time are sent to the endpoint, again or for the first time, with the same webhook-id.</p>
      <Form
        submit="Replay"
        onSubmit={async () => {
          const { deliveries } = await unwrap(
            api.POST("/v1/webhooks/{endpoint_id}/replay", {
              params: { path: { endpoint_id: endpoint } },
              body: { from: new Date(from).toISOString(), to: new Date(to).toISOString(), types: [] },
            }),
          );
          toast(`${deliveries} events are sent`);
          onClose();
        }}
      >
        <TextField label="From" type="datetime-local" required value={from} onValue={setFrom} />
        <TextField label="To" type="datetime-local" required value={to} onValue={setTo} />
      </Form>
    </Dialog>
  );
}

/** A time as a field of type `datetime-local` takes it, in the reader's zone. */
function localTime(ms: number): string {
  const shifted = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}
