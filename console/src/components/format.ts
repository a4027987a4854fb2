// How numbers and times are written.

/** Media time as `1:02:03` or `5:07`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A length such as `4.0 s`, `12 min` or `2.5 h`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** A point in time in the reader's own zone and language. */
export function moment(timestamp: string | null | undefined): string {
  return timestamp ? new Date(timestamp).toLocaleString() : "–";
}

/** How long ago a point in time is, such as `3 s ago`. */
export function ago(timestamp: string, now: number = Date.now()): string {
  return `${duration(Math.max(0, (now - Date.parse(timestamp)) / 1000))} ago`;
}

/** A code such as `above_threshold` as words. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}

/** A size such as `1.4 MB`. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${(count / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power]}`;
}
