// Regions of the screen, drawn on a frame of a stream's clip.
import { useRef, useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { SelectField, TextField } from "./form";
import { clock } from "./format";
import { Empty, Loading, ProblemNote } from "./page";

export type Region = Schemas["HudRegion"];
export type Regions = Record<string, Region>;
type Box = Schemas["HudBox"];

const SIDES = ["x", "y", "width", "height"] as const;
const LEAST = 0.01;
const HIGHEST = 0.5;

export function RegionEditor(props: { profile: string; regions: Regions; onChange: (regions: Regions) => void }) {
  const { regions, onChange } = props;
  const [kind, setKind] = useState<Region["holds"]>("score");
  function add(box: Box) {
    onChange({ ...regions, [freeName(kind, regions)]: { holds: kind, box } });
  }
  return (
    <>
      <p>
        Choose what a region holds, then draw it on the picture, or add one and type its numbers. They are shares
        of the picture, from its top left corner.
      </p>
      <SelectField
        label="The next region holds"
        value={kind}
        onValue={setKind}
        options={[
          ["score", "Score"],
          ["clock", "Clock"],
          ["feed", "Feed of lines"],
          ["banner", "Banner"],
        ]}
      />
      <Frame profile={props.profile} regions={regions} onDraw={add} />
      <button type="button" onClick={() => add({ x: 0.05, y: 0.05, width: 0.1, height: 0.05 })}>
        Add a region
      </button>
      {Object.entries(regions).map(([name, region]) => (
        <fieldset key={name}>
          <legend>
            {name}: {region.holds}
          </legend>
          <div class="choices">
            {SIDES.map((side) => (
              <TextField
                key={side}
                label={`${name} ${side}`}
                type="number"
                min="0"
                max="1"
                step="0.001"
                value={String(region.box[side])}
                onValue={(text) =>
                  onChange({ ...regions, [name]: { ...region, box: { ...region.box, [side]: Number(text) } } })
                }
              />
            ))}
          </div>
          <button
            type="button"
            onClick={() => {
              const { [name]: _, ...others } = regions;
              onChange(others);
            }}
          >
            Remove {name}
          </button>
        </fieldset>
      ))}
    </>
  );
}

/** A frame of the newest clips, with the regions over it. */
function Frame(props: { profile: string; regions: Regions; onDraw: (box: Box) => void }) {
  const [chosen, setChosen] = useState("");
  const [drawn, setDrawn] = useState<Box>();
  const [at, setAt] = useState(0);
  const [length, setLength] = useState(0);
  const video = useRef<HTMLVideoElement>(null);
  const start = useRef<[x: number, y: number] | null>(null);
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
  if (error) return <ProblemNote error={error} onRetry={reload} />;
  if (!data) return <Loading />;
  const playable = data.data.filter(({ clip }) => clip?.url);
  const own = playable.filter(({ profile }) => profile.id === props.profile);
  const found = own.length > 0 ? own : playable;
  const shown = found.find(({ id }) => id === chosen) ?? found[0];
  if (!shown?.clip?.url) return <Empty title="There is no clip to draw on yet: type the numbers instead" />;

  function place(event: PointerEvent): [x: number, y: number] {
    const area = (event.currentTarget as Element).getBoundingClientRect();
    return [share(event.clientX - area.left, area.width), share(event.clientY - area.top, area.height)];
  }
  return (
    <div>
      <SelectField
        label="Picture of the clip"
        value={shown.id}
        onValue={setChosen}
        options={found.map((each) => [each.id, `${each.game}: ${clock(each.peak)} ${each.title}`])}
      />
      <div
        class="frame"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = place(event);
        }}
        onPointerMove={(event) => {
          if (start.current) setDrawn(boxBetween(start.current, place(event)));
        }}
        onPointerUp={() => {
          start.current = null;
          if (drawn && drawn.width >= LEAST && drawn.height >= LEAST) props.onDraw(drawn);
          setDrawn(undefined);
        }}
      >
        <video
          key={shown.id}
          ref={video}
          src={shown.clip.url}
          muted
          playsInline
          preload="auto"
          aria-label={`Picture of ${shown.title}`}
          onLoadedMetadata={(event) => setLength(event.currentTarget.duration)}
        />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          {Object.entries(props.regions).map(([name, { box }]) => (
            <rect key={name} {...box} />
          ))}
          {drawn && <rect {...drawn} class="drawn" />}
        </svg>
      </div>
      <label class="field">
        Second of the clip
        <input
          type="range"
          min="0"
          max={length}
          step="0.1"
          value={at}
          onInput={(event) => {
            const second = Number(event.currentTarget.value);
            setAt(second);
            if (video.current) video.current.currentTime = second;
          }}
        />
      </label>
    </div>
  );
}

function share(distance: number, whole: number): number {
  return Math.min(1, Math.max(0, distance / whole));
}

function boxBetween([fromX, fromY]: [number, number], [toX, toY]: [number, number]): Box {
  const round = (value: number) => Math.round(value * 1000) / 1000;
  const [x, y] = [round(Math.min(fromX, toX)), round(Math.min(fromY, toY))];
  return {
    x,
    y,
    width: Math.min(round(Math.abs(toX - fromX)), round(1 - x)),
    height: Math.min(round(Math.abs(toY - fromY)), round(1 - y), HIGHEST),
  };
}

/** Return a name for a new region: its kind, with a number if that is taken. */
function freeName(kind: string, regions: Regions): string {
  let name = kind;
  for (let number = 2; name in regions; number++) name = `${kind}_${number}`;
  return name;
}
