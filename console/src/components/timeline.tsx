// The timeline of a stream: its media with gaps, the evidence by channel, and the decisions.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useLoad } from "../api/load";
import { readFeed, type StreamDetail } from "../api/streams";
import { clock, duration } from "./format";
import { CHANNELS, channelOf, type Highlight } from "./highlights";

const ZOOMS = [
  ["Overview", 1],
  ["Normal", 4],
  ["Close", 12],
] as const;
const FEED_REFRESH_MS = 5000;
const LABELS_PX = 112;
const TICK_PX = 80;
const TICKS_S = [5, 10, 15, 30, 60, 120, 300, 600, 1800];

interface Props {
  stream: StreamDetail;
  moments: readonly Highlight[];
  selected: string | undefined;
  onSelect: (id: string) => void;
  isLive: boolean;
}

export function Timeline({ stream, moments, selected, onSelect, isLive }: Props) {
  const feed = useLoad((signal) => readFeed(stream.id, signal), [stream.id], isLive ? FEED_REFRESH_MS : undefined);
  const [scale, setScale] = useState<number>(4);
  const [follows, setFollows] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const end = Math.max(stream.position, ...moments.map((each) => each.end), 30);
  const width = end * scale;
  // A moment is proposed only once its media is analyzed; the position of the stream may say so later.
  const analyzed = Math.max(stream.analyzed, ...moments.map((each) => each.end));
  const box = (start: number, stop: number) => ({
    left: `${start * scale}px`,
    width: `${Math.max((stop - start) * scale, 3)}px`,
  });
  useEffect(() => {
    if (isLive && follows) scroller.current?.scrollTo({ left: width });
  }, [width, isLive, follows]);
  const shown = CHANNELS.filter((channel) =>
    moments.some((each) => each.evidence.some(({ signal }) => channelOf(each, signal) === channel)),
  );
  return (
    <div class="timeline">
      <div class="actions">
        <h2>Timeline</h2>
        <span class="grow" />
        <div role="group" aria-label="Zoom" class="actions">
          {ZOOMS.map(([name, value]) => (
            <button key={name} type="button" aria-pressed={scale === value} onClick={() => setScale(value)}>
              {name}
            </button>
          ))}
        </div>
        {isLive && (
          <button type="button" aria-pressed={follows} onClick={() => setFollows(!follows)}>
            Follow live
          </button>
        )}
      </div>
      <div class="lanes" ref={scroller} tabIndex={0} role="region" aria-label="Lanes of the timeline; scroll to see all">
        <div class="lanes-inner" style={{ width: `${width + LABELS_PX}px` }}>
          <Lane name="Time">
            {ticks(end, scale).map((second) => (
              <span key={second} class="tick" style={{ left: `${second * scale}px` }}>
                {clock(second)}
              </span>
            ))}
          </Lane>
          <Lane name="Media">
            <span class="span analyzed" style={box(0, analyzed)} title={`Analyzed until ${clock(analyzed)}`} />
            {stream.position > analyzed && (
              <span
                class="span waiting"
                style={box(analyzed, stream.position)}
                title={`Received until ${clock(stream.position)}, not yet analyzed`}
              />
            )}
            {stream.gaps.map((gap) => (
              <span
                key={gap.start}
                class="span gap"
                style={box(gap.start, gap.start + gap.duration)}
                title={`${duration(gap.duration)} missing at ${clock(gap.start)}: ${gap.reason}, ${gap.status}`}
              />
            ))}
          </Lane>
          {shown.map((channel) => (
            <Lane key={channel} name={channel}>
              {moments.flatMap((each) =>
                each.evidence
                  .filter(({ signal }) => channelOf(each, signal) === channel)
                  .map(({ signal, strength, words }) => (
                    <span
                      key={each.id + signal}
                      class={strength < 0 ? "span against" : "span evidence-mark"}
                      style={box(each.start, each.end)}
                      title={`${clock(each.peak)} ${words}`}
                    />
                  )),
              )}
            </Lane>
          ))}
          {feed.data && feed.data.length > 0 && (
            <Lane name="Feed events">
              {feed.data.map(
                ({ id, kind, place, outcome, detail }) =>
                  place !== null && (
                    <span
                      key={id}
                      class="span feed-event"
                      style={box(place, place)}
                      title={`${clock(place)} ${kind}, ${outcome}${detail && `: ${detail}`}`}
                    />
                  ),
              )}
            </Lane>
          )}
          <Lane name="Decisions" isTall>
            {moments.map((each) => (
              <button
                key={each.id}
                type="button"
                class={`moment ${each.status}`}
                style={box(each.start, each.end)}
                aria-pressed={each.id === selected}
                aria-label={`${clock(each.peak)} ${each.title}, ${each.status}, score ${each.score.toFixed(2)}`}
                title={`${each.title} – ${each.status}, ${each.score.toFixed(2)}`}
                onClick={() => onSelect(each.id)}
              >
                {each.score.toFixed(2)}
              </button>
            ))}
          </Lane>
        </div>
      </div>
      <p class="legend quiet">
        <span class="key analyzed" /> analyzed <span class="key waiting" /> waiting{" "}
        <span class="key gap" /> missing <span class="key confirmed" /> confirmed{" "}
        <span class="key pending" /> pending <span class="key held" /> held{" "}
        <span class="key rejected" /> rejected or retracted
      </p>
    </div>
  );
}

function Lane(props: { name: string; isTall?: boolean; children: ComponentChildren }) {
  return (
    <div class={props.isTall ? "lane tall" : "lane"} role="group" aria-label={props.name}>
      <span class="lane-name">{props.name}</span>
      <div class="lane-content">{props.children}</div>
    </div>
  );
}

function ticks(end: number, scale: number): number[] {
  const step = TICKS_S.find((seconds) => seconds * scale >= TICK_PX) ?? 3600;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step);
}
