"""The search: Optuna asks for settings of the dials, rehearsals answer, and a front grows.

Settings are asked for in rounds of the same size however many processes there are, each round by a sampler with a seed
of its own. So one seed gives one search, and a search that is begun again asks for what it asked for before: what was
answered then is known, and it goes on where it was interrupted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from balancer.domain.tuned import Figures, Tried
from balancer.errors import MissingExtra
from balancer.tuning.dials import Dial

A_ROUND = 4
UNGUIDED = 8  # settings drawn at random before the search learns from what it saw

Answer = Callable[[Sequence[Mapping[str, float]]], list[Figures]]
"""Returns the figures of settings of the dials, in their order."""


def search(
    dials: Sequence[Dial], given: Figures, begin: Mapping[str, float], answer: Answer, trials: int, seed: int
) -> tuple[Tried, ...]:
    """Return the policy as given and so many settings, each once, with what they did."""
    optuna = _optuna()
    space = {dial.path: _distribution(optuna, dial) for dial in dials}
    study = optuna.create_study(directions=["minimize"] * 3)
    study.add_trial(optuna.create_trial(params=dict(begin), distributions=space, values=list(given.goals)))
    tried = [Tried(number=0, figures=given)]
    while len(tried) <= trials:
        study.sampler = _sampler(optuna, seed, len(tried))
        asked = [study.ask(space) for _ in range(min(A_ROUND, trials + 1 - len(tried)))]
        settings = [{dial.path: dial.rounded(each.params[dial.path]) for dial in dials} for each in asked]
        for trial, setting, figures in zip(asked, settings, answer(settings), strict=True):
            study.tell(trial, list(figures.goals))
            tried.append(Tried(number=len(tried), dials=setting, figures=figures))
    return tuple(tried)


def require_optuna() -> None:
    """Raise MissingExtra where the search cannot be made, before anything else is done."""
    _optuna()


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as missing:
        raise MissingExtra("tuning a policy", "tune") from missing
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(optuna: Any, dial: Dial) -> Any:
    if dial.is_whole:
        return optuna.distributions.IntDistribution(int(dial.low), int(dial.high), log=dial.is_log)
    return optuna.distributions.FloatDistribution(dial.low, dial.high, log=dial.is_log)


def _sampler(optuna: Any, seed: int, number: int) -> Any:
    """Return a sampler that knows several goals and how dials hang together, and whose round has its own seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls settings of its own experimental
        return optuna.samplers.TPESampler(
            seed=seed * 100_003 + number, n_startup_trials=UNGUIDED, multivariate=True, constant_liar=True
        )
