// Charts as SVG: bars over time, and a radar of dimensions. Each has its numbers as a text too.

export interface Bar {
  label: string;
  value: number;
}

const WIDTH = 640;
const HEIGHT = 160;

export function BarChart(props: { title: string; bars: readonly Bar[]; format: (value: number) => string }) {
  const { title, bars, format } = props;
  const highest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const step = WIDTH / Math.max(bars.length, 1);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT + 4}`}
        role="img"
        aria-label={`${title}: ${bars.map(({ label, value }) => `${label} ${format(value)}`).join(", ")}`}
      >
        <line class="axis" x1="0" x2={WIDTH} y1={HEIGHT + 1} y2={HEIGHT + 1} />
        {bars.map(({ label, value }, index) => {
          const height = (value / highest) * HEIGHT;
          return (
            <rect
              key={label}
              x={index * step + step * 0.1}
              y={HEIGHT - height}
              width={step * 0.8}
              height={height}
              rx="2"
            >
              <title>{`${label}: ${format(value)}`}</title>
            </rect>
          );
        })}
      </svg>
      <div class="chart-range">
        <span>{bars[0]?.label}</span>
        <span>highest {format(Math.max(...bars.map(({ value }) => value), 0))}</span>
        <span>{bars.at(-1)?.label}</span>
      </div>
    </figure>
  );
}

const RADIUS = 90;
const CENTER_X = 200;
const CENTER_Y = 130;

/** Values from 0 to 1, each on an axis of its own. */
export function Radar({ title, values }: { title: string; values: readonly Bar[] }) {
  const place = (index: number, length: number): [x: number, y: number] => {
    const angle = (2 * Math.PI * index) / values.length - Math.PI / 2;
    return [CENTER_X + length * Math.cos(angle), CENTER_Y + length * Math.sin(angle)];
  };
  const ring = (share: number | ((value: number) => number)) =>
    values
      .map(({ value }, index) =>
        place(index, RADIUS * (typeof share === "number" ? share : share(value))).join(","),
      )
      .join(" ");
  return (
    <svg
      class="radar"
      viewBox="0 0 400 260"
      role="img"
      aria-label={`${title}: ${values.map(({ label, value }) => `${label} ${value.toFixed(2)}`).join(", ")}`}
    >
      {[0.25, 0.5, 0.75, 1].map((share) => (
        <polygon key={share} class="grid" points={ring(share)} />
      ))}
      {values.map((_, index) => {
        const [x, y] = place(index, RADIUS);
        return <line key={index} class="grid" x1={CENTER_X} y1={CENTER_Y} x2={x} y2={y} />;
      })}
      <polygon class="area" points={ring((value) => value)} />
      {values.map(({ label, value }, index) => {
        const [x, y] = place(index, RADIUS + 14);
        const anchor = Math.abs(x - CENTER_X) < 5 ? "middle" : x > CENTER_X ? "start" : "end";
        return (
          <text key={label} x={x} y={y + 4} text-anchor={anchor}>
            {label} {value.toFixed(2)}
          </text>
        );
      })}
    </svg>
  );
}
