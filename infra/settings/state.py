"""Where things are kept on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from infra.settings.section import SettingsSection

DEFAULT_HOME: Final = Path("~/.cache/highlights")


class StateSettings(SettingsSection):
    """Where things are kept on this machine."""

    heading = "State"

    environment: str = Field(
        default="development",
        description="Name of the deployment, written into logs and traces.",
    )
    home: Path = Field(
        default=DEFAULT_HOME,
        description="Directory of all caches and state; moving it moves everything.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="State of this installation (database, clips, logs, secrets); "
        "by default `dev` in the home directory.",
    )
    offline: bool = Field(
        default=False,
        description="Never try to download or build a component.",
    )
