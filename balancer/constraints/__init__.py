"""One file a promise. A new one is a new file, its test, and a line in this list; it joins the policy by its `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from balancer.constraints.apart import Apart
from balancer.constraints.base import Constraint, Sight
from balancer.constraints.cap import Cap
from balancer.constraints.dedicated import Dedicated
from balancer.constraints.group_share import GroupShare
from balancer.constraints.headroom import Headroom
from balancer.constraints.keep_on import KeepOn
from balancer.constraints.licence import Licence
from balancer.constraints.not_on import NotOn
from balancer.constraints.only_on import OnlyOn
from balancer.constraints.overcommit import Overcommit
from balancer.constraints.prefer import Prefer
from balancer.constraints.reach import Reach
from balancer.constraints.reserve import Reserve
from balancer.constraints.stay import Stay
from balancer.constraints.together import Together

KINDS: tuple[type[Constraint], ...] = (
    Headroom,
    Apart,
    Together,
    OnlyOn,
    NotOn,
    Stay,
    Prefer,
    Dedicated,
    Licence,
    Cap,
    GroupShare,
    Overcommit,
    Reserve,
    KeepOn,
    Reach,
)
"""All promises. Headroom has a key of its own in the policy, Reach is in force always, the others are listed."""

Listed = Annotated[
    Apart
    | Together
    | OnlyOn
    | NotOn
    | Stay
    | Prefer
    | Dedicated
    | Licence
    | Cap
    | GroupShare
    | Overcommit
    | Reserve
    | KeepOn,
    Field(discriminator="kind"),
]

__all__ = [
    "KINDS",
    "Apart",
    "Cap",
    "Constraint",
    "Dedicated",
    "GroupShare",
    "Headroom",
    "KeepOn",
    "Licence",
    "Listed",
    "NotOn",
    "OnlyOn",
    "Overcommit",
    "Prefer",
    "Reach",
    "Reserve",
    "Sight",
    "Stay",
    "Together",
]
