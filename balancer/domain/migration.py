"""How a guest goes from one host to another: what beside the kind has to be said, and what it is expected to cost.

live    copied while it runs; with `auto_converge` it is slowed down as far as that takes, with `post_copy` it goes on
        at its target before all of it is there, with `copy_storage` its disk comes along
warm    copied while it runs, then stopped for the rest
cold    shut off; one that runs is shut down before and started after (`restart`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from balancer.domain.value import Amount, Count, Flag, Value

MigrationKind = Literal["live", "cold", "warm"]
CopyStorage = Literal["never", "all", "incremental"]

QEMU_STOP_SECONDS = 0.3  # QEMU's own downtime-limit: the stop at the end of a live migration


class MigrationOptions(Value):
    """What is said of one migration beside its kind."""

    auto_converge: Flag = Field(default=False, description="slow the guest down until copying keeps up with it")
    post_copy: Flag = Field(
        default=False, description="go on at the target before all memory is there, if copying does not keep up"
    )
    copy_storage: CopyStorage = Field(default="never", description="copy local disks, whole or above their base image")
    compression: Flag = Field(default=False, description="compress what is sent")
    parallel: Count = Field(default=0, description="connections side by side; 0: one")
    tls: Flag = Field(default=False, description="encrypt what is sent")
    stop_seconds: Amount = Field(default=QEMU_STOP_SECONDS, description="the longest stop that is allowed")
    restart: Flag = Field(default=False, description="it runs: it is shut down, moved and started")

    @property
    def copies_storage(self) -> bool:
        return self.copy_storage != "never"

    def in_words(self, kind: MigrationKind) -> str:
        """Say kind and options as people do: `live, post-copy`; empty for a plain live migration."""
        said = [
            *(["post-copy"] if self.post_copy else []),
            *(["auto-converge"] if self.auto_converge else []),
            *(["with its disk"] if self.copies_storage else []),
            *(["restarted"] if self.restart else []),
        ]
        return ", ".join(said if kind == "live" else [kind, *said])


PLAIN = MigrationOptions()


@dataclass(frozen=True)
class MigrationCost:
    """What one migration is expected to cost: time, the longest stop of the guest, and what goes over the line.

    `modelled_mib` and `link_mib_per_s` are what was assumed before the past corrected it: it is corrected anew with
    each migration, so it has to be known from what.
    """

    seconds: float
    downtime_ms: float
    mib: float
    modelled_mib: float = 0.0
    link_mib_per_s: float = 0.0
