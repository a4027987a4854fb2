// Game profiles: the shipped ones, with overrides, and those of the tenant.
import { useLocation } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, unwrap } from "../api/client";
import { useLoad } from "../api/load";
import { Form, TextField } from "../components/form";
import { Badge, LoadState, Page } from "../components/page";
import { Table } from "../components/table";
import { useToast } from "../components/toast";

export default function Profiles() {
  const { route } = useLocation();
  const toast = useToast();
  const [text, setText] = useState("");
  const { data, error, reload } = useLoad((signal) => unwrap(api.GET("/v1/profiles", { signal })), []);
  return (
    <Page title="Game profiles" lead="The rules by which highlights of each game are chosen. A change applies to new streams.">
      <section class="card">
        <Form
          submit="Find"
          onSubmit={async () => {
            const match = await unwrap(api.POST("/v1/profiles/match", { body: { text } }));
            toast(match.reason);
            route(`/console/profiles/${match.profile_id}`);
          }}
        >
          <TextField
            label="Find by game, league or team"
            required
            value={text}
            onValue={setText}
            hint="Opens the profile that a stream with this title would get."
          />
        </Form>
      </section>
      <LoadState data={data} error={error} reload={reload} />
      {data && (
        <Table
          caption="Game profiles"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            { name: "Profile", cell: (row) => <a href={`/console/profiles/${row.id}`}>{row.name}</a> },
            { name: "Id", cell: (row) => <code>{row.id}</code> },
            { name: "Kind", cell: (row) => row.kind },
            {
              name: "Rules",
              cell: (row) => {
                if (!row.shipped) return <Badge tone="live">your own</Badge>;
                return row.overridden ? <Badge tone="live">overridden</Badge> : "shipped";
              },
            },
            { name: "Version", cell: (row) => <code>{row.version}</code> },
          ]}
        />
      )}
    </Page>
  );
}
