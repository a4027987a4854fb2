// Which files an export makes, by the names that people know.
import type { Schemas } from "../api/client";
import { CheckField } from "./form";

export type Rendition = Pick<Schemas["CreateRenditionRequest"], "format" | "preset" | "aspect" | "fit" | "resolution">;

export const CHOICES: readonly { id: string; label: string; rendition: Rendition }[] = [
  { id: "tiktok", label: "TikTok, 9:16", rendition: { format: "mp4", preset: "tiktok" } },
  { id: "reels", label: "Instagram Reels, 9:16", rendition: { format: "mp4", preset: "reels" } },
  { id: "shorts", label: "YouTube Shorts, 9:16", rendition: { format: "mp4", preset: "shorts" } },
  { id: "x", label: "X, 16:9", rendition: { format: "mp4", preset: "x" } },
  { id: "youtube", label: "YouTube, 16:9", rendition: { format: "mp4", preset: "youtube" } },
  { id: "square", label: "Square, 1:1", rendition: { format: "mp4", aspect: "1:1", fit: "track" } },
  { id: "portrait", label: "Portrait, 4:5", rendition: { format: "mp4", aspect: "4:5", fit: "track" } },
  { id: "source", label: "As the source, MP4", rendition: { format: "mp4" } },
  { id: "hls", label: "HLS", rendition: { format: "hls" } },
  { id: "webm", label: "WebM", rendition: { format: "webm" } },
  { id: "gif", label: "GIF, at most 10 s", rendition: { format: "gif", resolution: 360 } },
  { id: "audio", label: "Sound only", rendition: { format: "audio" } },
  { id: "thumbnail", label: "Thumbnail", rendition: { format: "thumbnail" } },
];

const BRANDED = { watermark: true, lower_third: true, captions: false, cards: true };

/** Return the renditions of the chosen ids, in the order of the list. */
export function renditionsOf(ids: ReadonlySet<string>): Schemas["CreateRenditionRequest"][] {
  return CHOICES.filter(({ id }) => ids.has(id)).map(({ rendition }) => ({ ...BRANDED, ...rendition }));
}

export function RenditionFields(props: {
  chosen: ReadonlySet<string>;
  onChosen: (ids: ReadonlySet<string>) => void;
  only?: (rendition: Rendition) => boolean;
}) {
  function toggle(id: string, isChosen: boolean) {
    const next = new Set(props.chosen);
    if (isChosen) next.add(id);
    else next.delete(id);
    props.onChosen(next);
  }
  return (
    <fieldset>
      <legend>Files</legend>
      <div class="choices">
        {CHOICES.filter(({ rendition }) => props.only?.(rendition) ?? true).map(({ id, label }) => (
          <CheckField
            key={id}
            label={label}
            checked={props.chosen.has(id)}
            onValue={(isChosen) => toggle(id, isChosen)}
          />
        ))}
      </div>
    </fieldset>
  );
}
