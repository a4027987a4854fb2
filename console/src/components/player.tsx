// Players: a video by its URL or, through hls.js (loaded when first needed), a playlist.
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  mp4?: string | null;
  hls?: string | null;
  poster?: string | null;
  isLive?: boolean;
  onTime?: (seconds: number) => void;
}

export function Player({ label, mp4, hls, poster, isLive = false, onTime }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    setFailure("");
    if (!hls || mp4 || !element.current) return;
    return attach(element.current, hls, isLive, setFailure);
  }, [hls, mp4, isLive]);
  return (
    <div class="player">
      <video
        ref={element}
        aria-label={label}
        controls
        playsInline
        muted={isLive}
        autoPlay={isLive}
        preload="metadata"
        src={mp4 ?? undefined}
        poster={poster ?? undefined}
        onError={() => setFailure("The video cannot be played.")}
        onTimeUpdate={(event) => onTime?.(event.currentTarget.currentTime)}
      />
      {failure && <p class="player-note">{failure}</p>}
    </div>
  );
}

/** Play a playlist in a video element; return what ends it. */
function attach(
  video: HTMLVideoElement,
  url: string,
  isLive: boolean,
  fail: (why: string) => void,
): () => void {
  let end = () => {};
  let isOver = false;
  void import("hls.js").then(({ default: Hls }) => {
    if (isOver) return;
    if (!Hls.isSupported()) {
      video.src = url;
      return;
    }
    // The content security policy allows no worker from a blob.
    const player = new Hls({ enableWorker: false, ...(isLive ? { liveSyncDurationCount: 2 } : {}) });
    player.on(Hls.Events.ERROR, (_, { fatal, details }) => {
      if (fatal) fail(`The picture cannot be loaded (${details}).`);
    });
    player.loadSource(url);
    player.attachMedia(video);
    end = () => player.destroy();
  });
  return () => {
    isOver = true;
    end();
  };
}

/** A still picture that plays while the pointer or the focus is on it.
 *
 * Give it the clip's id as its key: each answer of the API signs the URLs again, and a new one would
 * stop the video, so the first ones stay.
 */
export function HoverClip(props: { label: string; mp4: string; poster: string | null; href: string }) {
  const [{ mp4, poster }] = useState(props);
  const element = useRef<HTMLVideoElement>(null);
  const play = () => void element.current?.play().catch(() => {});
  const stop = () => {
    element.current?.pause();
    if (element.current) element.current.currentTime = 0;
  };
  return (
    <a
      class="hover-clip"
      href={props.href}
      aria-label={props.label}
      onPointerEnter={play}
      onPointerLeave={stop}
      onFocus={play}
      onBlur={stop}
    >
      <video ref={element} src={mp4} poster={poster ?? undefined} preload="none" muted loop playsInline />
    </a>
  );
}
