"""How migrations are carried out, and what they may ask of a guest."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from balancer.domain.migration import CopyStorage
from balancer.domain.value import Amount, Count, Flag, Value


class MigrationRules(Value):
    """How migrations are carried out."""

    deadline_minutes: Amount | None = Field(
        default=None,
        description="after which a migration is given up; absent: five times what was predicted, at least 2",
        examples=[20],
    )
    bandwidth_mib_per_s: Amount | None = Field(
        default=None, description="of each migration; absent: no limit", examples=[800]
    )
    allow_downtime_seconds: Amount = Field(
        default=0.3,
        description="the longest stop of a guest that is moved while it runs; one that writes too fast to be copied is "
        "stopped for the rest (warm) where that takes no longer",
        examples=[2.0],
    )
    auto_converge: Flag = Field(
        default=True,
        description="a guest that writes too fast to be copied may be slowed down until copying catches up",
        examples=[True],
    )
    allow_post_copy: Flag = Field(
        default=False,
        description="a guest that writes too fast to be copied may go on at its target before all of its memory is "
        "there: quick, and a line that breaks for good meanwhile costs the guest",
        examples=[True],
    )
    allow_restart: Flag = Field(
        default=False,
        description="a guest that can be moved in no other way may be shut down, moved and started",
        examples=[True],
    )
    restart_within_seconds: Amount = Field(
        default=600.0, description="the longest that a guest may be down for a restart", examples=[300]
    )
    copy_storage: CopyStorage = Field(
        default="never",
        description="local disks come along: never (such guests stay), all, or incremental (what lies above a base "
        "image that the target has)",
        examples=["all"],
    )
    compression: Flag = Field(
        default=False, description="compress memory on the way: CPU for bandwidth", examples=[True]
    )
    parallel: Count = Field(default=0, description="connections side by side for each migration; 0: one", examples=[4])
    tls: Flag = Field(
        default=False, description="encrypt memory on the way; each host needs its certificates", examples=[True]
    )

    @model_validator(mode="after")
    def _what_goes_together(self) -> Self:
        if self.compression and self.parallel:
            raise ValueError("says `compression` and `parallel`, which QEMU does not do at once: keep one of the two")
        return self
