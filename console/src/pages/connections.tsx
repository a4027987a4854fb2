// Connections to 100ms workspaces, whose events start streams.
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { Dialog } from "../components/dialog";
import { Form, TextField } from "../components/form";
import { moment } from "../components/format";
import { Empty, LoadState, Page } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";
import { Secret } from "../components/secret";
import { Table } from "../components/table";

type Connection = Schemas["Connection"];

export default function Connections() {
  const [isOpen, setOpen] = useState(false);
  const [made, setMade] = useState<Connection>();
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(api.GET("/v1/connections", { params: { query: { limit: 25, cursor: pager.cursor } }, signal })),
    [pager.cursor],
  );
  return (
    <Page
      title="Connections"
      lead="100ms workspaces whose live streams are analyzed without a request of yours."
      actions={
        <button type="button" class="primary" onClick={() => setOpen(true)}>
          Add a connection
        </button>
      }
    >
      <LoadState data={data} error={error} reload={reload} />
      {data?.data.length === 0 && <Empty title="No connection yet" />}
      {data && data.data.length > 0 && (
        <Table
          caption="Connections, newest first"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            { name: "Name", cell: (row) => <a href={`/console/connections/${row.id}`}>{row.name}</a> },
            { name: "Game", cell: (row) => row.game ?? "by the title" },
            { name: "Checks", cell: checksOf },
            { name: "Created", cell: (row) => moment(row.created_at) },
          ]}
        />
      )}
      <PagerButtons pager={pager} next={data?.next_cursor} />
      {isOpen && (
        <NewConnection
          onClose={() => setOpen(false)}
          onMade={(connection) => {
            setOpen(false);
            setMade(connection);
            reload();
          }}
        />
      )}
      {made && (
        <Dialog title={`Connection ${made.name}`} onClose={() => setMade(undefined)}>
          <ConnectionSecrets of={made} />
        </Dialog>
      )}
    </Page>
  );
}

/** Which checks an event must pass. */
export function checksOf({ checks }: Connection): string {
  const names = [
    checks.source && "sender's address",
    checks.secret_header && `secret in ${checks.header_name}`,
    checks.signature && "signature",
  ].filter(Boolean);
  return names.join(", ") || "none";
}

/** What to enter in the dashboard of 100ms. */
export function ConnectionSecrets({ of }: { of: Connection }) {
  return (
    <>
      <p>
        Enter in the dashboard of 100ms, under Developer, Webhooks, the URL <code>{of.webhook_url}</code>
        {of.secrets && (
          <>
            {" "}
            and the header <code>{of.secrets.header_name}</code> with this value.
          </>
        )}
      </p>
      {of.secrets && (
        <>
          <Secret name={`Header ${of.secrets.header_name}`} value={of.secrets.header_value} />
          <Secret name="Signing key" value={of.secrets.signing_secret} />
        </>
      )}
    </>
  );
}

function NewConnection(props: { onClose: () => void; onMade: (connection: Connection) => void }) {
  const [name, setName] = useState("");
  const [account, setAccount] = useState("");
  const [game, setGame] = useState("");
  const [title, setTitle] = useState("");
  const [retryKey] = useState(idempotencyKey);
  return (
    <Dialog title="Add a connection" onClose={props.onClose}>
      <Form
        submit="Add"
        onSubmit={async () => {
          props.onMade(
            await unwrap(
              api.POST("/v1/connections", {
                params: { header: { "Idempotency-Key": retryKey } },
                body: {
                  name,
                  account_id: account.trim() || null,
                  game: game.trim() || null,
                  title: title.trim() || null,
                },
              }),
            ),
          );
        }}
      >
        <TextField label="Name" required value={name} onValue={setName} />
        <TextField label="Account id of 100ms" value={account} onValue={setAccount} />
        <TextField label="Game" value={game} onValue={setGame} hint="Empty: the title of a stream decides." />
        <TextField label="Title of its streams" value={title} onValue={setTitle} hint="{room} is replaced by the room id." />
      </Form>
    </Dialog>
  );
}
