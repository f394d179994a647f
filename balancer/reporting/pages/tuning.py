"""What tuning found, as a page: the front in pictures, and each of its points beside what was held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from balancer.domain.tuned import Figures, Tried, Tuned
from balancer.reporting.pages.drawing import Point, plane
from balancer.reporting.pages.page import heading, page, paragraph, table
from balancer.reporting.tuning import COLUMNS, ROWS, cells, dials_of, held_out, name_of, searched, shown

MOST_ROWS = 60
FRONT, GIVEN, CHOSEN = 0, 1, 2

Goal = Callable[[Figures], float]


def tuning_page(tuned: Tuned) -> str:
    """Return one HTML file about a tuned policy."""
    given, point = tuned.given, tuned.choice
    beside = [("chosen", point.figures), ("as given", given.figures)]
    beside += [
        (name, one)
        for name, one in (("chosen, held out", point.held_out), ("as given, held out", given.held_out))
        if one
    ]
    head = ["", *(name for name, _ in COLUMNS), "dials"]
    front = shown(tuned, MOST_ROWS)
    chosen = next(place for place, each in enumerate(front) if each.number == tuned.chosen)
    title = f"{tuned.policy.name} tuned on {tuned.record}"
    return page(
        title,
        [
            heading(title, 1),
            paragraph(f"{searched(tuned)}; {held_out(tuned)}.".capitalize(), "soft"),
            paragraph(f"Chosen for: {tuned.wanted}. {dials_of(point) or 'The policy as it was given'}.", "lead"),
            table(
                ["", *(name for name, _ in beside)], [[name, *(say(one) for _, one in beside)] for name, say in ROWS]
            ),
            heading("The front"),
            paragraph(
                "None of its points is better than another in all three goals. In brackets: held out.",
                "soft",
            ),
            *_pictures(tuned),
            table(head, [[name_of(each, tuned), *cells(each), dials_of(each)] for each in front], chosen, "worded"),
        ],
    )


def _pictures(tuned: Tuned) -> Iterator[str]:
    """Yield energy over shortage and energy over migrations, where it was searched; and where it was held out."""
    short: Goal = lambda figures: 100 * figures.short  # noqa: E731
    moves: Goal = lambda figures: figures.moves_a_guest_a_day  # noqa: E731
    yield _picture(tuned, "energy, kWh, over the share of host steps short", short, "% short")
    yield _picture(tuned, "energy, kWh, over migrations a guest a day", moves, "a day")
    held = [each for each in shown(tuned, MOST_ROWS) if each.held_out is not None]
    if held:
        yield plane(
            "held out: energy, kWh, over the share of host steps short",
            [_point(each, tuned, each.held_out, short, FRONT) for each in held if each.held_out is not None],
            "% short",
            [("the front of the search", FRONT), ("as given", GIVEN), ("chosen", CHOSEN)],
        )


def _picture(tuned: Tuned, title: str, goal: Goal, across: str) -> str:
    front = {each.number for each in tuned.front}
    points = [
        _point(each, tuned, each.figures, goal, FRONT if each.number in front else None)
        for each in sorted(tuned.tried, key=lambda one: (one.number in front, one.is_given, one.number == tuned.chosen))
    ]
    legend = [("front", FRONT), ("other trials", None), ("as given", GIVEN), ("chosen", CHOSEN)]
    return plane(title, points, across, legend)


def _point(each: Tried, tuned: Tuned, figures: Figures, goal: Goal, tone: int | None) -> Point:
    said = f"{name_of(each, tuned)}: {', '.join(f'{name} {say(figures)}' for name, say in COLUMNS)}"
    is_chosen = each.number == tuned.chosen
    marked = CHOSEN if is_chosen else GIVEN if each.is_given else tone
    return Point(goal(figures), figures.kwh, f"{said}\n{dials_of(each)}", marked, is_chosen or each.is_given)
