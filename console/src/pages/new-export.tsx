// A new export of a highlight's clip.
import { useLocation } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap } from "../api/client";
import { useLoad } from "../api/load";
import { CheckField, Form, SelectField } from "../components/form";
import { clock } from "../components/format";
import { Empty, LoadState, Page } from "../components/page";
import { RenditionFields, renditionsOf } from "../components/renditions";

export default function NewExport() {
  const { query, route } = useLocation();
  const [highlight, setHighlight] = useState(query["highlight"] ?? "");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(["tiktok"]));
  const [withTitle, setWithTitle] = useState(false);
  const [retryKey] = useState(idempotencyKey);
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/highlights/list", {
          params: { query: { limit: 100, status: ["confirmed", "pending"] } },
          signal,
        }),
      ),
    [],
  );
  const playable = data?.data.filter(({ id, clip }) => clip?.status === "ready" || id === highlight);
  const selected = highlight || playable?.[0]?.id || "";
  return (
    <Page title="New export" lead="A vertical picture follows the action. Branding comes from your account.">
      <LoadState data={data} error={error} reload={reload} />
      {playable?.length === 0 && (
        <Empty title="No highlight has a clip yet">
          <p>
            Exports are made of clips. <a href="/console">Watch a stream</a> until it has one.
          </p>
        </Empty>
      )}
      {playable && playable.length > 0 && (
        <Form
          submit="Export"
          onSubmit={async () => {
            const made = await unwrap(
              api.POST("/v1/exports", {
                params: { header: { "Idempotency-Key": retryKey } },
                body: {
                  source: { highlight_id: selected, exact: true },
                  renditions: renditionsOf(chosen),
                  branding: "default",
                  lower_third: withTitle ? { start: 0, seconds: 4 } : null,
                },
              }),
            );
            route(`/console/exports/${made.id}`);
          }}
        >
          <SelectField
            label="Highlight"
            value={selected}
            onValue={setHighlight}
            options={playable.map((each) => [each.id, `${clock(each.peak)} ${each.title} (${each.score.toFixed(2)})`])}
          />
          <RenditionFields chosen={chosen} onChosen={setChosen} />
          <CheckField label="Show title and score at the start" checked={withTitle} onValue={setWithTitle} />
        </Form>
      )}
    </Page>
  );
}
