"""`python -m deploy.monitoring.dashboards`: writes the dashboards of Grafana from this description.

Operator and cost read Prometheus. Tenant and stream read PostgreSQL as the application's role, so
that row-level security shows the rows of one tenant only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

DIRECTORY: Final = Path(__file__).parent / "grafana" / "dashboards"
_WIDTH: Final = 24
_HEIGHT: Final = 8
_LE: Final = "sum by (le)"
_SCOPE: Final = (
    "WITH scope AS MATERIALIZED (SELECT set_config('app.tenant_id', '${tenant}', true) AS id)"
)

Source = Literal["prometheus", "postgres"]


@dataclass(frozen=True)
class Panel:
    """A panel, with the queries that it shows: PromQL by legend, or one SQL statement.

    Attributes:
        unit: Grafana's name of the unit, such as `s`.
        kind: `timeseries`, `stat` or `table`.
        width: of 24 columns.
    """

    title: str
    queries: Mapping[str, str]
    description: str = ""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12


@dataclass(frozen=True)
class Dashboard:
    """A dashboard, whose name is its file's and its id.

    Attributes:
        variables: text boxes by name, with their defaults.
    """

    name: str
    title: str
    source: Source
    panels: Sequence[Panel]
    variables: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return it in Grafana's form."""
        return {
            "uid": f"highlights-{self.name}",
            "title": f"Highlights: {self.title}",
            "tags": ["highlights"],
            "schemaVersion": 39,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "links": [
                {
                    "type": "dashboards",
                    "title": "Highlights",
                    "tags": ["highlights"],
                    "asDropdown": True,
                    "includeVars": True,
                }
            ],
            "templating": {
                "list": [
                    {
                        "name": name,
                        "type": "textbox",
                        "query": value,
                        "current": {"text": value, "value": value},
                    }
                    for name, value in self.variables.items()
                ]
            },
            "panels": list(self._panels()),
        }

    def _panels(self) -> Sequence[dict[str, Any]]:
        found, x, y = [], 0, 0
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHT
            source = {"type": _PLUGINS[self.source], "uid": f"highlights-{self.source}"}
            found.append(
                {
                    "id": number,
                    "title": panel.title,
                    "description": panel.description,
                    "type": panel.kind,
                    "datasource": source,
                    "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
                    "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                    "targets": [
                        {
                            "refId": chr(ord("A") + place),
                            "datasource": source,
                            **self._target(*each),
                        }
                        for place, each in enumerate(panel.queries.items())
                    ],
                }
            )
            x += panel.width
        return found

    def _target(self, legend: str, query: str) -> dict[str, Any]:
        if self.source == "postgres":
            return {"rawQuery": True, "rawSql": query, "format": "table"}
        return {"expr": query, "legendFormat": legend}


_PLUGINS: Final = {"prometheus": "prometheus", "postgres": "grafana-postgresql-datasource"}


def _quantiles(metric: str, selector: str = "") -> dict[str, str]:
    return {
        f"{share:.0%}": f"histogram_quantile({share}, {_LE} (rate({metric}_bucket{selector}[5m])))"
        for share in (0.5, 0.95, 0.99)
    }


def _rows(table: str, columns: str, *, where: str = "", rest: str = "") -> dict[str, str]:
    """Return a query of the rows that the tenant in the variable `tenant` has in a table.

    One statement sets the scope of row-level security and reads: the lateral query depends on the
    scope, and `OFFSET 0` keeps the planner from reading rows before it is set.
    """
    wanted = "tenant_id = scope.id::uuid" + (f" AND {where}" if where else "")
    select = f"SELECT {columns} FROM {table} WHERE {wanted} {rest} OFFSET 0"  # noqa: S608 -- ours
    return {"": f"{_SCOPE} SELECT found.* FROM scope CROSS JOIN LATERAL ({select}) AS found"}  # noqa: S608


_OPERATOR: Final = Dashboard(
    name="operator",
    title="operator",
    source="prometheus",
    variables={},
    panels=[
        Panel(
            "Live streams", {"streams": "sum(highlights_streams_followed)"}, kind="stat", width=6
        ),
        Panel(
            "API errors, 1 h",
            {"share": "highlights:api_errors:ratio_rate1h"},
            "Objective: 0.1 % of the requests of 30 days.",
            unit="percentunit",
            kind="stat",
            width=6,
        ),
        Panel(
            "Late moments, 1 h",
            {"share": "highlights:late_moments:ratio_rate1h"},
            "Published later than 20 s after the peak. Objective: 5 %.",
            unit="percentunit",
            kind="stat",
            width=6,
        ),
        Panel(
            "Late clips, 1 h",
            {"share": "highlights:late_clips:ratio_rate1h"},
            "Stored later than 60 s after the peak. Objective: 5 %.",
            unit="percentunit",
            kind="stat",
            width=6,
        ),
        Panel(
            "Behind live: stored",
            _quantiles("highlights_seconds_behind_live", '{stage="stored"}'),
            "From the listing of a segment until it is in the store. Playlists hold about 10 s.",
            unit="s",
        ),
        Panel(
            "Behind live: analyzed",
            _quantiles("highlights_seconds_behind_live", '{stage="analyzed"}'),
            "From the listing of a window's last segment until its analysis is done.",
            unit="s",
        ),
        Panel(
            "Moment to playable",
            _quantiles("highlights_moment_to_playable_seconds"),
            "From the wall clock of the peak until the highlight is published and can be played.",
            unit="s",
        ),
        Panel(
            "Moment to exact clip",
            _quantiles("highlights_moment_to_exact_seconds"),
            "From the wall clock of the peak until the rendered clip is stored.",
            unit="s",
        ),
        Panel(
            "Lost media",
            {"{{reason}}": "sum by (reason) (rate(highlights_gap_seconds_total[5m]))"},
            "Seconds of media lost each second, by reason; `declared` is the source's own.",
        ),
        Panel(
            "Highlights and clips per minute",
            {
                "highlights {{status}}": (
                    "60 * sum by (status) (rate(highlights_published_total[5m]))"
                ),
                "clips {{status}}": "60 * sum by (status) (rate(highlights_clips_total[5m]))",
            },
        ),
        Panel(
            "Backlog of task queues",
            {"{{task_queue}}": "max by (task_queue) (highlights_task_queue_backlog)"},
        ),
        Panel(
            "Time in task queues, 95 %",
            {
                "{{task_queue}}": (
                    "histogram_quantile(0.95, sum by (le, task_queue) (rate("
                    "temporal_activity_schedule_to_start_latency_bucket[5m])))"
                )
            },
            unit="s",
        ),
        Panel(
            "Delivery lag",
            _quantiles("highlights_delivery_lag_seconds"),
            "From an event until a tenant's endpoint accepts it, retries included.",
            unit="s",
        ),
        Panel(
            "Delivery attempts",
            {"{{outcome}}": "sum by (outcome) (rate(highlights_delivery_attempts_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "API requests",
            {"{{status}}": "sum by (status) (rate(highlights_api_request_seconds_count[5m]))"},
            unit="reqps",
        ),
        Panel(
            "API latency, 95 %",
            {
                "{{method}} {{route}}": (
                    "topk(10, histogram_quantile(0.95, sum by (le, method, route) (rate("
                    "highlights_api_request_seconds_bucket[5m]))))"
                )
            },
            unit="s",
        ),
        Panel(
            "Servers that cannot be used",
            {"{{instance}} {{dependency}}": "1 - highlights_dependency_up"},
        ),
        Panel(
            "Store requests",
            {
                "{{operation}} {{outcome}}": (
                    "sum by (operation, outcome) (rate(highlights_store_request_seconds_count[5m]))"
                )
            },
            unit="reqps",
        ),
        Panel(
            "Store latency, 95 %",
            {
                "{{operation}}": (
                    "histogram_quantile(0.95, sum by (le, operation) (rate("
                    "highlights_store_request_seconds_bucket[5m])))"
                )
            },
            unit="s",
        ),
        Panel(
            "Temporal requests",
            {"{{operation}}": "sum by (operation) (rate(temporal_request[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Processor time of processes",
            {"{{job}} {{instance}}": "rate(process_cpu_seconds_total[5m])"},
            "In cores, without child processes.",
        ),
    ],
)

_COST: Final = Dashboard(
    name="cost",
    title="cost",
    source="prometheus",
    variables={"dollars_per_million_actions": "50"},
    panels=[
        Panel(
            "Gemini, dollars per hour",
            {"dollars": "3600 * sum(rate(highlights_gemini_dollars_total[5m]))"},
            unit="currencyUSD",
        ),
        Panel(
            "Temporal, dollars per hour",
            {
                "dollars": (
                    "3600 * highlights:temporal_actions:rate5m"
                    " * ${dollars_per_million_actions} / 1e6"
                )
            },
            "Actions that the SDK sees: all but timers and starts of child workflows.",
            unit="currencyUSD",
        ),
        Panel(
            "Gemini, tokens per second",
            {"{{kind}}": "sum by (kind) (rate(highlights_gemini_tokens_total[5m]))"},
        ),
        Panel(
            "Temporal, actions per second and stream",
            {
                "actions": (
                    "highlights:temporal_actions:rate5m"
                    " / clamp_min(sum(highlights_streams_followed), 1)"
                )
            },
        ),
        Panel(
            "Share of chunks that Gemini analyzes",
            {"share": "highlights:gemini_gate:ratio_rate1h"},
            unit="percentunit",
        ),
        Panel(
            "Why chunks are analyzed, or not",
            {"{{reason}}": "sum by (reason) (rate(highlights_gemini_chunks_total[5m]))"},
        ),
        Panel(
            "Store requests per stream and hour",
            {
                "{{operation}}": (
                    "3600 * sum by (operation) (rate(highlights_store_request_seconds_count[5m]))"
                    " / scalar(clamp_min(sum(highlights_streams_followed), 1))"
                )
            },
        ),
        Panel(
            "Processor time per stream",
            {
                "cores": (
                    'sum(rate(process_cpu_seconds_total{job="highlights-worker"}[5m]))'
                    " / clamp_min(sum(highlights_streams_followed), 1)"
                )
            },
            "Without child processes, which decode and encode.",
        ),
    ],
)

_OF_STREAM: Final = "stream_id = '${stream}'"
_NO_ID: Final = "00000000-0000-0000-0000-000000000000"
_TENANT: Final = Dashboard(
    name="tenant",
    title="tenant",
    source="postgres",
    variables={"tenant": _NO_ID},
    panels=[
        Panel(
            "Streams by status",
            _rows("streams", "status, count(*)", rest="GROUP BY status"),
            kind="table",
        ),
        Panel(
            "Webhook deliveries by status",
            _rows(
                "deliveries",
                "status, count(*), min(created_at) AS oldest, max(attempts) AS most_attempts",
                rest="GROUP BY status",
            ),
            "Pending ones are the backlog of the tenant.",
            kind="table",
        ),
        Panel(
            "Latest streams",
            _rows(
                "streams",
                "id, title, game, status, highlights, clips, missed, correlation_id, created_at, "
                "ended_at, end_message",
                rest="ORDER BY created_at DESC LIMIT 50",
            ),
            kind="table",
            width=24,
        ),
        Panel(
            "Usage of the last day",
            _rows(
                "usage_hourly",
                "kind, sum(quantity) AS quantity",
                where="hour > now() - interval '1 day'",
                rest="GROUP BY kind ORDER BY kind",
            ),
            kind="table",
        ),
        Panel(
            "Latest failed deliveries",
            _rows(
                "deliveries",
                "event_type, status, attempts, last_status_code, last_error, next_attempt_at",
                where="last_error IS NOT NULL",
                rest="ORDER BY last_attempt_at DESC LIMIT 50",
            ),
            kind="table",
        ),
    ],
)

_STREAM: Final = Dashboard(
    name="stream",
    title="one stream",
    source="postgres",
    variables={"tenant": _NO_ID, "stream": _NO_ID},
    panels=[
        Panel(
            "Stream",
            _rows(
                "streams",
                "title, game, status, notice, position AS stored_s, analyzed AS analyzed_s, "
                "segments, missed, last_segment_at, correlation_id, "
                "'stream/' || tenant_id || '/' || id AS workflow_id",
                where="id = '${stream}'",
            ),
            kind="table",
            width=24,
        ),
        Panel(
            "Highlights",
            _rows(
                "highlights",
                "title, status, score, peak, created_at - peak_wall_clock AS late, "
                "replace(id::text, '-', '') AS trace_id",
                where=_OF_STREAM,
                rest="ORDER BY peak DESC LIMIT 100",
            ),
            "`late` is from the wall clock of the peak until the row; `trace_id` finds its trace.",
            kind="table",
            width=24,
        ),
        Panel(
            "Clips",
            _rows(
                "clips",
                "start, duration, status, ready_at - created_at AS rendering, message",
                where=_OF_STREAM,
                rest="ORDER BY start DESC LIMIT 100",
            ),
            kind="table",
        ),
        Panel(
            "Gaps",
            _rows(
                "gaps",
                "start, duration, reason, status, detail",
                where=_OF_STREAM,
                rest="ORDER BY start DESC LIMIT 100",
            ),
            kind="table",
        ),
        Panel(
            "Windows",
            _rows(
                "windows",
                'index, start, "end", segments, size, analyzer, analyzed_at',
                where=_OF_STREAM,
                rest="ORDER BY index DESC LIMIT 100",
            ),
            kind="table",
            width=24,
        ),
    ],
)

DASHBOARDS: Final = (_OPERATOR, _TENANT, _COST, _STREAM)


def files() -> dict[str, str]:
    """Return the dashboards as JSON, by file name."""
    return {
        f"{each.name}.json": json.dumps(each.document(), indent=2) + "\n" for each in DASHBOARDS
    }


def main() -> None:
    """Write them."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (DIRECTORY / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
