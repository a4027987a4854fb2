"""What each request costs of a limit: this one table, by the name of the route's function.

Whatever is not named costs one unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_COSTS: Final[Mapping[str, int]] = {
    "analyze_stream": 10,  # a workflow, and media for hours
    "match_profile": 5,  # a search through all names of all games
    "put_override": 5,  # validates all profiles
    "find_similar_highlights": 5,  # compares up to a thousand
    "search_highlights": 5,  # ranks up to a thousand
}

# Served by a signed URL instead of a key: who asks is known by address only.
BY_ADDRESS: Final = frozenset({"download_clip", "download_thumbnail"})

# 100ms sends the events of all tenants from a few addresses and gives up after three attempts
# (docs.100ms.live, webhooks): one tenant's wrong secret must not silence the others.
UNLIMITED_PREFIXES: Final = ("/v1/webhooks/100ms",)

LIMITED_PREFIX: Final = "/v1/"


def cost_of(route: str) -> int:
    """Return the units that a request to the route of this name uses."""
    return _COSTS.get(route, 1)


def is_limited(path: str) -> bool:
    """Tell whether requests to a path are limited; health and documentation are not."""
    return path.startswith(LIMITED_PREFIX) and not path.startswith(UNLIMITED_PREFIXES)


def routes_with_costs() -> frozenset[str]:
    """Return all names in the table."""
    return frozenset(_COSTS)


def highest_cost() -> int:
    """Return the cost of the dearest request, which every plan has to allow."""
    return max(_COSTS.values())
