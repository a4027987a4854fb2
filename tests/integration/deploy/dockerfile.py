"""The stages of a Dockerfile, as far as ours uses the language."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass
class Stage:
    """What one stage, and the stages that it is built on, say."""

    run: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    user: str = "root"
    cmd: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def read_stages(path: Path = ROOT / "Dockerfile") -> Mapping[str, Stage]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    stages: dict[str, Stage] = {}
    stage = Stage()
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "FROM":
                base, _, name = rest.partition(" AS ")
                parent = stages.get(base, Stage())
                stage = stages[name] = Stage(
                    env=dict(parent.env),
                    labels=dict(parent.labels),
                    volumes=list(parent.volumes),
                    user=parent.user,
                )
            case "RUN":
                stage.run.append(rest)
            case "ENV":
                stage.env |= _pairs(rest)
            case "LABEL":
                stage.labels |= _pairs(rest)
            case "VOLUME":
                stage.volumes = json.loads(rest)
            case "USER":
                stage.user = rest
            case "CMD":
                stage.cmd = json.loads(rest)
            case "HEALTHCHECK":
                stage.health = json.loads(rest.partition("CMD ")[2])
    return stages


def _pairs(text: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in shlex.split(text))
