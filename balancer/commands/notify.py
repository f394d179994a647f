"""The command about notifications: test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from balancer.commands.exits import DONE, ERROR
from balancer.commands.opening import SitePath, the_site_file
from balancer.commands.screen import out
from balancer.domain.notices import Alertmanager, Matcher, Notify, Severity, Target
from balancer.domain.site_file import SiteFile
from balancer.errors import BalancerError, Fault, InputError, SiteError
from balancer.notifying.alertmanager import NAME, Silencer
from balancer.notifying.silences import Silence, matchers_of
from balancer.notifying.targets import sender
from balancer.notifying.whom import Message
from balancer.settings import load_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

EMBEDDED = "the embedded site tells nobody"
SECONDS_TO_ANSWER = 45.0
NOBODY = "no-host-has-this-name"


@app.callback()
def _group() -> None:
    """See that messages arrive."""


@app.command("test")
def try_targets(
    target: Annotated[str | None, typer.Option(help="Only this target, or `alertmanager`; default: all.")] = None,
    site: SitePath = None,
) -> int:
    """Send a message to each target, whatever it wants to be told and when, and say what went wrong."""
    file = the_site_file(site, EMBEDDED)
    answers = dict(_answers(file, target))
    width = max(map(len, answers), default=0)
    for name, wrong in answers.items():
        line = Text.assemble(f"{name:{width}}  ", (wrong or "ok", "red" if wrong else "green"))
        out.print(line, soft_wrap=True)
    return ERROR if any(answers.values()) else DONE


def _answers(file: SiteFile, only: str | None) -> Iterator[tuple[str, str]]:
    """Yield what each target is called and what went wrong with it; empty where nothing did."""
    targets = file.notify.targets if file.notify is not None else ()
    known = [*(each.name for each in targets), *([NAME] if file.alertmanager is not None else [])]
    if not known:
        way_out = 'add `notify: {targets: [{name: ops, secret_ref: "file:ops"}]}`; docs/notifications.md'
        raise InputError([Fault("the site file", "tells nobody anything", way_out)])
    if only is not None and only not in known:
        raise InputError([Fault("--target", f"there is no {only}", f"known: {', '.join(known)}")])
    for each in targets:
        if only in {None, each.name} and file.notify is not None:
            yield each.name, _wrong_with(each, file.notify, file.cluster)
    if file.alertmanager is not None and only in {None, NAME}:
        yield NAME, _wrong_with_silences(file.alertmanager, file.cluster)


def _wrong_with(target: Target, rules: Notify, cluster: str) -> str:
    body = "Somebody tries whether messages of the balancer arrive. They do." + (f"\n\n{rules.link}" * bool(rules.link))
    message = Message(f"{cluster}: a test message", body, Severity.INFO)
    said: list[str] = []

    def send() -> None:
        try:
            sender(load_settings().secrets)(target, message)
            said.append("")
        except BalancerError as failed:
            said.append(_in_words(failed))
        except Exception as failed:
            # Its words may hold a part of the URL.
            said.append(f"it failed with {type(failed).__name__}")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(SECONDS_TO_ANSWER)
    return said[0] if said else f"no answer in {SECONDS_TO_ANSWER:.0f} s"


def _wrong_with_silences(rules: Alertmanager, cluster: str) -> str:
    """Make a silence that is about nobody, and end it."""
    silencer, now = Silencer(rules, cluster, load_settings().secrets), datetime.now(UTC)
    about_nobody = rules.model_copy(update={"matchers": (Matcher(label="instance", value="{host}", regex=False),)})
    trial = Silence(
        matchers_of(NOBODY, about_nobody), now, now + timedelta(minutes=1), "whether the balancer may silence is tried"
    )
    try:
        made = silencer.put(trial)
        silencer.end(Silence(trial.matchers, trial.starts, trial.ends, trial.comment, made))
    except BalancerError as failed:
        return _in_words(failed)
    return ""


def _in_words(failed: BalancerError) -> str:
    """Say what failed without its name, which stands beside it."""
    if not isinstance(failed, SiteError):
        return str(failed)
    return f"{failed.operation}: {failed.cause}" + (f" ({failed.way_out})" if failed.way_out else "")
