"""Where media goes."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from infra.settings.section import SettingsSection
from infra.settings.values import DirectoryLocation


class StorageSettings(SettingsSection):
    """Where media goes."""

    heading = "Storage"

    segment_store: DirectoryLocation | None = Field(
        default=None,
        validation_alias="SEGMENT_STORE",
        description="Directory of the segments of all streams, which all workers must share. "
        "By default `segments` in the state directory.",
    )
    clip_store: DirectoryLocation | None = Field(
        default=None,
        validation_alias="CLIP_STORE",
        description="Directory of the clips, which the API and all workers must share. "
        "By default `clips` in the state directory.",
    )
    clip_url_lifetime: PositiveFloat = Field(
        default=3600.0, description="Seconds for which a signed clip URL works."
    )
