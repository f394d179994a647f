"""An explanation as an administrator likes to read it in a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from balancer.domain.conflict import Conflict
from balancer.domain.explanation import Bought, Explanation, Guest, Option, Reason
from balancer.domain.plan import Because
from balancer.domain.units import in_words

MOST_HOSTS = 6  # named for one reason; the JSON has them all


def explanation_text(answer: Explanation) -> RenderableType:
    """Return an answer as text: a sentence, the facts, each reason, and what speaks for and against each way out."""
    parts: list[RenderableType] = [Text(answer.headline, style="bold")]
    if answer.facts:
        parts.append(Text("; ".join(f"{name} {value}" for name, value in answer.facts.items()), style="dim"))
    if answer.reasons:
        parts += [Text(), _reasons(answer.reasons)]
    parts += _moves(answer.moves) + _options(answer.options) + _guests(answer) + _kept(answer.kept) + _conflicts(answer)
    if answer.not_looked_at:
        parts.append(Text(f"\nnot looked at, for they are fuller: {_few(answer.not_looked_at)}", style="dim"))
    return Group(*parts)


def conflict_text(conflict: Conflict) -> RenderableType:
    """Return a conflict as text: the rules, each with its line, and the facts that exclude each other."""
    lines: list[RenderableType] = [Text(conflict.sentence)]
    lines += [Padding(Text(fact, style="dim"), (0, 0, 0, 4)) for fact in conflict.why]
    if not conflict.smallest:
        more = "one of these rules may turn out not to be needed for it"
        lines.append(Padding(Text(more, style="dim italic"), (0, 0, 0, 4)))
    return Group(*lines)


def _conflicts(answer: Explanation) -> list[RenderableType]:
    if not answer.conflicts:
        return []
    said = [Padding(conflict_text(conflict), (0, 0, 0, 2)) for conflict in answer.conflicts]
    return [Text("\nrules that no placement keeps all", style="bold red"), *said]


def _reasons(reasons: Sequence[Reason]) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in reasons:
        table.add_row(Text("because", style="dim"), Text(each.sentence))
        if each.way_out:
            table.add_row("", Text(f"to change that: {each.way_out}", style="dim"))
    return table


def _moves(moves: Sequence[Bought]) -> list[RenderableType]:
    if not moves:
        return []
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "move"):
        table.add_column(title, no_wrap=True)
    for title in ("gain in J", "time", "GiB"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("because", overflow="fold")
    for move in moves:
        what = Text.assemble((f"{move.vm} ", "bold"), f"{move.source} → {move.target}")
        table.add_row(
            Text(move.step, style="dim"),
            what,
            f"{move.gain:+.5f}",
            in_words(move.seconds),
            f"{move.gib:.1f}",
            Text(move.because),
        )
    heading = "\nwhat each move buys: J would be higher by that without it, the rest of the plan done"
    return [Text(heading, style="dim"), table]


def _options(options: Sequence[Option]) -> list[RenderableType]:
    if not options:
        return []
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("other hosts", overflow="fold")
    table.add_column("J", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for option in (option for option in options if option.is_possible):
        change = "" if option.change is None else f"{option.change:+.5f}"
        said = Text("; ".join(each.sentence for each in option.reasons))
        gains = any(each.because is Because.WOULD_GAIN for each in option.reasons)
        table.add_row(Text(option.host, style="bold"), Text(change, style="green" if gains else ""), said)
    for hosts, reasons in _alike(option for option in options if not option.is_possible):
        against = Text("\n".join(each.sentence for each in reasons))
        table.add_row(Text(_few(hosts), style="dim"), Text("no", style="red"), against)
    return [Text(), table]


def _alike(options: Iterable[Option]) -> list[tuple[list[str], tuple[Reason, ...]]]:
    """Put hosts together against which the same speaks, word for word."""
    found: dict[str, tuple[list[str], tuple[Reason, ...]]] = {}
    for option in options:
        key = "\n".join(each.sentence for each in option.reasons)
        found.setdefault(key, ([], option.reasons))[0].append(option.host)
    return list(found.values())


def _guests(answer: Explanation) -> list[RenderableType]:
    if not answer.guests:
        return []
    heading = "\nguests of it that could go nowhere else, the plan carried out"
    return [Text(heading, style="dim"), _listed(answer.guests)]


def _kept(kept: Sequence[Guest]) -> list[RenderableType]:
    if not kept:
        return []
    grouped: dict[str, list[str]] = defaultdict(list)
    for each in kept:
        grouped["; ".join(reason.sentence for reason in each.reasons)].append(each.vm.partition(":")[2])
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for reasons, names in grouped.items():
        table.add_row(Text(_few(names), style="bold"), Text(reasons))
    return [Text("\nleft as they are", style="dim"), Padding(table, (0, 0, 0, 2))]


def _listed(guests: Sequence[Guest]) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for guest in guests:
        said = Text("; ".join(reason.sentence for reason in guest.reasons))
        table.add_row(Text(guest.vm, style="bold"), said)
    return Padding(table, (0, 0, 0, 2))


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_HOSTS} more" if len(names) > MOST_HOSTS else ""
    return ", ".join(names[:MOST_HOSTS]) + more
