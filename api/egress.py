"""Routes of the addresses that our requests come from."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Reader
from api.errors.reference import WITH_KEY, documented
from api.services import ServicesDependency

_EXAMPLE: Final[dict[str, Any]] = {"addresses": ["203.0.113.7/32", "2001:db8:7::/48"]}
router = APIRouter(prefix="/v1/egress", tags=["webhooks"])


class EgressAddresses(BaseModel):
    """Networks that requests to your servers come from."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    addresses: list[str] = Field(
        description="Networks in CIDR notation. Empty if this installation has no fixed addresses: "
        "then verify signatures, and do not filter by address."
    )


@router.get("", operation_id="getEgress", responses=documented(*WITH_KEY))
async def get_egress(caller: Reader, services: ServicesDependency) -> EgressAddresses:  # noqa: ARG001
    """Read the networks that webhooks and requests for your streams come from.

    Allow them in your firewall. They change rarely; read them once a day. An address is no proof of
    the sender: verify the signatures of webhooks too.
    """
    return EgressAddresses(addresses=[str(each) for each in services.settings.egress_addresses])
