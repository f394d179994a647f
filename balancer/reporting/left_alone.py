"""What a plan leaves as it is and why, and what it cannot keep, for whatever prints it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from balancer.domain.plan import Because, Plan, Unmet


@dataclass(frozen=True)
class Left:
    """Those that one reason left as they are, each detail once with its names."""

    because: Because
    named: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def count(self) -> int:
        return sum(len(names) for _, names in self.named)

    def listed(self, most: int) -> str:
        """Name them: `h1, h2 (the others lack memory); h3 and 4 more (...)`."""
        return "; ".join(_listed(detail, names, most) for detail, names in self.named)


def left_alone(plan: Plan) -> list[Left]:
    """Return what was left as it is, by reason."""
    reasons: dict[Because, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for kept in plan.kept:
        reasons[kept.because][kept.detail].append(kept.subject.partition(":")[2])
    return [
        Left(because, tuple((detail, tuple(names)) for detail, names in by_detail.items()))
        for because, by_detail in reasons.items()
    ]


def unmet_sentence(unmet: Unmet) -> str:
    """Say which promise is not kept, why, and by how much it is broken."""
    return f"{unmet.promise}: {unmet.why}" + (f" ({unmet.extent})" if unmet.extent else "")


def _listed(detail: str, names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more + (f" ({detail})" if detail else "")
