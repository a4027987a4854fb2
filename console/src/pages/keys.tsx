// API keys: created, rotated and revoked.
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { Dialog } from "../components/dialog";
import { CheckField, Form, TextField } from "../components/form";
import { moment } from "../components/format";
import { Badge, Empty, LoadState, Page, type Tone } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";
import { Secret } from "../components/secret";
import { Table } from "../components/table";

type Key = Schemas["ApiKey"];
type Scope = Schemas["Scope"];

const TONES: Record<Key["status"], Tone> = {
  active: "good",
  replaced: "warning",
  expired: "neutral",
  revoked: "neutral",
};
const SCOPES: readonly (readonly [Scope, string])[] = [
  ["read", "Read streams, highlights and usage"],
  ["write", "Start and stop streams, make clips and exports"],
  ["webhooks", "Manage webhooks"],
  ["admin", "Everything, including keys"],
];
const OVERLAP_SECONDS = 86_400;
const DAY_MS = 86_400_000;

export default function Keys() {
  const [isOpen, setOpen] = useState(false);
  const [made, setMade] = useState<Schemas["ApiKeyWithSecret"]>();
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(api.GET("/v1/keys", { params: { query: { limit: 25, cursor: pager.cursor } }, signal })),
    [pager.cursor],
  );
  return (
    <Page
      title="API keys"
      lead="At least one key with the scope admin stays valid: you cannot lock yourself out."
      actions={
        <button type="button" class="primary" onClick={() => setOpen(true)}>
          Create a key
        </button>
      }
    >
      <LoadState data={data} error={error} reload={reload} />
      {data?.data.length === 0 && <Empty title="No key here" />}
      {data && data.data.length > 0 && (
        <Table
          caption="API keys, newest first"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            { name: "Name", cell: (row) => row.name },
            { name: "Key", cell: (row) => <code>{row.hint}</code> },
            { name: "Scopes", cell: (row) => row.scopes.join(", ") },
            { name: "State", cell: (row) => <Badge tone={TONES[row.status]}>{row.status}</Badge> },
            { name: "Last used", cell: (row) => moment(row.last_used_at) },
            { name: "Expires", cell: (row) => moment(row.expires_at) },
            {
              name: "Actions",
              cell: (row) => <KeyActions of={row} onMade={setMade} onDone={reload} />,
            },
          ]}
        />
      )}
      <PagerButtons pager={pager} next={data?.next_cursor} />
      {isOpen && (
        <NewKey
          onClose={() => setOpen(false)}
          onMade={(key) => {
            setOpen(false);
            setMade(key);
            reload();
          }}
        />
      )}
      {made?.key && (
        <Dialog title={`Key ${made.name}`} onClose={() => setMade(undefined)}>
          <Secret name="API key" value={made.key} />
        </Dialog>
      )}
    </Page>
  );
}

function KeyActions(props: { of: Key; onMade: (key: Schemas["ApiKeyWithSecret"]) => void; onDone: () => void }) {
  const { of, onMade, onDone } = props;
  const path = { key_id: of.id };
  return (
    <div class="actions">
      {of.status === "active" && (
        <ActionButton
          label={`Rotate ${of.name}`}
          confirm="A new key replaces this one, which stays valid for a day."
          onAction={async () => {
            onMade(
              await unwrap(
                api.POST("/v1/keys/{key_id}/rotate", {
                  params: { path, header: { "Idempotency-Key": idempotencyKey() } },
                  body: { overlap: OVERLAP_SECONDS },
                }),
              ),
            );
            onDone();
          }}
        >
          Rotate
        </ActionButton>
      )}
      {(of.status === "active" || of.status === "replaced") && (
        <ActionButton
          label={`Revoke ${of.name}`}
          confirm={`Requests with the key ${of.hint} are refused at once, and for good.`}
          done={`Key ${of.name} revoked`}
          onAction={async () => {
            await unwrap(api.POST("/v1/keys/{key_id}/revoke", { params: { path } }));
            onDone();
          }}
        >
          Revoke
        </ActionButton>
      )}
    </div>
  );
}

function NewKey(props: { onClose: () => void; onMade: (key: Schemas["ApiKeyWithSecret"]) => void }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set(["read"]));
  const [days, setDays] = useState("90");
  const [addresses, setAddresses] = useState("");
  const [retryKey] = useState(idempotencyKey);
  return (
    <Dialog title="Create a key" onClose={props.onClose}>
      <Form
        submit="Create"
        onSubmit={async () => {
          props.onMade(
            await unwrap(
              api.POST("/v1/keys", {
                params: { header: { "Idempotency-Key": retryKey } },
                body: {
                  name,
                  scopes: [...scopes],
                  mode: "live",
                  allowed_ips: addresses.split(/[\s,]+/).filter(Boolean),
                  expires_at: days ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null,
                },
              }),
            ),
          );
        }}
      >
        <TextField label="Name" required value={name} onValue={setName} hint="What it is for, such as `scoreboard`." />
        <fieldset>
          <legend>Scopes</legend>
          {SCOPES.map(([scope, text]) => (
            <CheckField
              key={scope}
              label={`${scope}: ${text}`}
              checked={scopes.has(scope)}
              onValue={(isChosen) => {
                const next = new Set(scopes);
                if (isChosen) next.add(scope);
                else next.delete(scope);
                setScopes(next);
              }}
            />
          ))}
        </fieldset>
        <TextField label="Days until it expires" type="number" min="1" value={days} onValue={setDays} hint="Empty: never." />
        <TextField
          label="Only from the addresses"
          value={addresses}
          onValue={setAddresses}
          hint="Addresses or networks (CIDR), separated by commas. Empty: any."
        />
      </Form>
    </Dialog>
  );
}
