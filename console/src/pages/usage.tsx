// Usage and its cost by day or hour, and monthly budgets.
import { useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { BarChart, type Bar } from "../components/chart";
import { Form, SelectField, TextField } from "../components/form";
import { bytes, duration } from "../components/format";
import { Empty, LoadState, Page, ProblemNote } from "../components/page";
import { Table } from "../components/table";

type Kind = Schemas["UsageKind"];
type Item = Schemas["UsageItem"];
type Range = "day" | "week" | "month" | "year";

const KINDS: Record<Kind, { name: string; format: (value: number) => string }> = {
  analyzed_seconds: { name: "Media analyzed", format: duration },
  clip_rendered: { name: "Clips", format: count },
  clip_bytes: { name: "Size of clips", format: bytes },
  export_rendered: { name: "Files exported", format: count },
  export_bytes: { name: "Size of exports", format: bytes },
  gemini_tokens: { name: "Gemini tokens", format: count },
  gemini_cost_usd: { name: "Gemini cost", format: dollars },
  webhook_delivery: { name: "Webhook deliveries", format: count },
  feed_event: { name: "Feed events", format: count },
  embed_play: { name: "Plays of embedded highlights", format: count },
  api_request: { name: "API requests", format: count },
};
const HOUR_MS = 3_600_000;
const RANGES: Record<Range, { text: string; hours: number; bucket: Schemas["UsageBucket"] }> = {
  day: { text: "Last 24 hours", hours: 24, bucket: "hour" },
  week: { text: "Last 7 days", hours: 7 * 24, bucket: "day" },
  month: { text: "Last 30 days", hours: 30 * 24, bucket: "day" },
  year: { text: "Last 365 days", hours: 365 * 24, bucket: "day" },
};
const POLL_MS = 30_000;

export default function Usage() {
  const [range, setRange] = useState<Range>("month");
  const { hours, bucket } = RANGES[range];
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/usage/stats", {
          params: { query: { since: new Date(Date.now() - hours * HOUR_MS).toISOString(), bucket } },
          signal,
        }),
      ),
    [range],
    POLL_MS,
  );
  const used = data ? kindsIn(data.data) : [];
  return (
    <Page title="Usage" lead="Counted within a minute, each thing once.">
      <SelectField
        label="Time"
        value={range}
        onValue={setRange}
        options={Object.entries(RANGES).map(([key, { text }]) => [key as Range, text])}
      />
      <LoadState data={data} error={error} reload={reload} />
      {data && (
        <>
          <p class="total">
            Total <strong>{dollars(data.cost_usd)}</strong>
          </p>
          {used.length === 0 && <Empty title="Nothing was used in this time" />}
          {used.length > 0 && (
            <>
              <section class="card">
                <BarChart title="Cost" bars={barsOf(data, data.data, "cost_usd")} format={dollars} />
              </section>
              <Table
                caption="Usage by kind"
                rows={used}
                rowKey={({ kind }) => kind}
                columns={[
                  { name: "Kind", cell: ({ kind }) => KINDS[kind].name },
                  { name: "Quantity", isNumber: true, cell: ({ kind, quantity }) => KINDS[kind].format(quantity) },
                  { name: "Cost", isNumber: true, cell: ({ cost }) => dollars(cost) },
                ]}
              />
              <div class="columns gallery">
                {used.map(({ kind }) => (
                  <section class="card" key={kind}>
                    <BarChart
                      title={KINDS[kind].name}
                      bars={barsOf(data, data.data.filter((each) => each.kind === kind), "quantity")}
                      format={KINDS[kind].format}
                    />
                  </section>
                ))}
              </div>
            </>
          )}
        </>
      )}
      <Budgets />
    </Page>
  );
}

function Budgets() {
  const [kind, setKind] = useState<Kind>("analyzed_seconds");
  const [monthly, setMonthly] = useState("");
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/usage/budgets", { signal })),
    [],
    POLL_MS,
  );
  return (
    <section class="card">
      <h2>Budgets of this month</h2>
      <p class="quiet">At 50, 80 and 100 % you get the event usage.threshold. A budget blocks nothing.</p>
      {error && <ProblemNote error={error} onRetry={reload} />}
      {data && data.data.length > 0 && (
        <Table
          caption="Budgets"
          rows={data.data}
          rowKey={(row) => row.kind}
          columns={[
            { name: "Kind", cell: (row) => KINDS[row.kind].name },
            { name: "Used", isNumber: true, cell: (row) => KINDS[row.kind].format(row.used) },
            { name: "Budget", isNumber: true, cell: (row) => KINDS[row.kind].format(row.monthly) },
            {
              name: "Share",
              cell: (row) => {
                const text = `${Math.round((100 * row.used) / row.monthly)} %`;
                return (
                  <span class="progress">
                    <progress max={row.monthly} value={row.used} aria-label={`${KINDS[row.kind].name}: ${text}`} />
                    {text}
                  </span>
                );
              },
            },
            {
              name: "Actions",
              cell: (row) => (
                <ActionButton
                  label={`Delete the budget of ${KINDS[row.kind].name}`}
                  done="Budget deleted"
                  onAction={async () => {
                    await unwrap(
                      api.DELETE("/v1/usage/budgets/{kind}", { params: { path: { kind: row.kind } } }),
                    );
                    reload();
                  }}
                >
                  Delete
                </ActionButton>
              ),
            },
          ]}
        />
      )}
      <Form
        submit="Set the budget"
        onSubmit={async () => {
          await unwrap(
            api.PUT("/v1/usage/budgets/{kind}", { params: { path: { kind } }, body: { monthly } }),
          );
          setMonthly("");
          reload();
        }}
      >
        <SelectField
          label="Kind"
          value={kind}
          onValue={setKind}
          options={Object.entries(KINDS).map(([key, { name }]) => [key as Kind, name])}
        />
        <TextField
          label="Each month"
          type="number"
          min="0.000001"
          step="any"
          required
          value={monthly}
          onValue={setMonthly}
          hint={`In the unit of ${kind}.`}
        />
      </Form>
    </section>
  );
}

function kindsIn(items: readonly Item[]): { kind: Kind; quantity: number; cost: number }[] {
  return (Object.keys(KINDS) as Kind[])
    .map((kind) => {
      const own = items.filter((each) => each.kind === kind);
      return {
        kind,
        quantity: own.reduce((sum, each) => sum + each.quantity, 0),
        cost: own.reduce((sum, each) => sum + each.cost_usd, 0),
      };
    })
    .filter(({ quantity }) => quantity > 0);
}

/** One bar for each hour or day of the report, also where nothing was used. */
function barsOf(report: Schemas["UsageReport"], items: readonly Item[], of: "quantity" | "cost_usd"): Bar[] {
  const step = report.bucket === "hour" ? HOUR_MS : 24 * HOUR_MS;
  const sums = new Map<number, number>();
  for (const each of items) {
    const start = Date.parse(each.start);
    sums.set(start, (sums.get(start) ?? 0) + each[of]);
  }
  const bars: Bar[] = [];
  const first = Math.floor(Date.parse(report.since) / step) * step;
  for (let start = first; start < Date.parse(report.until); start += step) {
    const iso = new Date(start).toISOString();
    bars.push({
      label: report.bucket === "hour" ? `${iso.slice(11, 16)} UTC` : iso.slice(0, 10),
      value: sums.get(start) ?? 0,
    });
  }
  return bars;
}

function count(value: number): string {
  return Math.round(value).toLocaleString();
}

function dollars(value: number): string {
  return `$${value.toFixed(value > 0 && value < 1 ? 4 : 2)}`;
}
