"""Where media goes."""

from __future__ import annotations

from pydantic import AliasChoices, Field, PositiveFloat

from infra.settings.section import SettingsSection


class StorageSettings(SettingsSection):
    """Where media goes."""

    heading = "Storage"

    segment_store: str | None = Field(
        default=None,
        validation_alias="SEGMENT_STORE",
        description="Path or `s3://bucket/prefix` of the stream's segments; needed as S3 as soon "
        "as workers run on more than one machine. By default `segments` in the state directory.",
    )
    clip_store: str | None = Field(
        default=None,
        validation_alias="CLIP_STORE",
        description="Path or `s3://bucket/prefix` of clips. "
        "By default `clips` in the state directory.",
    )
    s3_endpoint_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="Endpoint of an S3-compatible store other than AWS.",
    )
    clip_url_lifetime: PositiveFloat = Field(
        default=3600.0, description="Seconds for which a signed clip URL works."
    )
