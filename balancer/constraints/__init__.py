"""One file a promise. A new one is a new file, its test, and a line in this list; it joins the policy by its `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from balancer.constraints.apart import Apart
from balancer.constraints.base import Constraint
from balancer.constraints.headroom import Headroom
from balancer.constraints.not_on import NotOn
from balancer.constraints.only_on import OnlyOn
from balancer.constraints.stay import Stay
from balancer.constraints.together import Together

KINDS: tuple[type[Constraint], ...] = (Headroom, Apart, Together, OnlyOn, NotOn, Stay)
"""All promises. Headroom has a key of its own in the policy, the others stand in its `constraints:` list."""

Listed = Annotated[Apart | Together | OnlyOn | NotOn | Stay, Field(discriminator="kind")]

__all__ = ["KINDS", "Apart", "Constraint", "Headroom", "Listed", "NotOn", "OnlyOn", "Stay", "Together"]
