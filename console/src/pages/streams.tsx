// All streams: their state, how far behind live they are, and their latest highlight.
import { api, unwrap } from "../api/client";
import { useLoad } from "../api/load";
import { Empty, Loading, Page, ProblemNote } from "../components/page";
import { Table } from "../components/table";
import { clock } from "../components/format";

export default function Streams() {
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/streams", { params: { query: { limit: 50 } }, signal })),
    [],
    5000,
  );
  return (
    <Page title="Streams">
      {error && <ProblemNote error={error} onRetry={reload} />}
      {!data && !error && <Loading />}
      {data?.data.length === 0 && <Empty title="No stream yet." />}
      {data && data.data.length > 0 && (
        <Table
          caption="Streams, newest first"
          rows={data.data}
          rowKey={(row) => row.id}
          columns={[
            { name: "Stream", cell: (row) => <a href={`/console/streams/${row.id}`}>{row.title || row.game}</a> },
            { name: "State", cell: (row) => row.status },
            { name: "Position", isNumber: true, cell: (row) => clock(row.position) },
          ]}
        />
      )}
    </Page>
  );
}
