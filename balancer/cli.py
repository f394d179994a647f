"""The command line. Commands live in `commands/`, by what they do: think, look, act, stop, host, power.

Exit codes: 0 done, or nothing to do; 1 an error, in words, or `check`: rules contradict each other; 2 `plan`: there is
a plan, `policy diff`: not the same, `host drain`: guests have yet to leave; 3 `plan`: refused because of doubts,
`host drain`: what remains cannot leave, or the host does not answer; 64 the command line was wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from balancer import __version__
from balancer.commands import (
    acting,
    checking,
    doctor,
    explaining,
    host,
    init,
    looking,
    notify,
    policy,
    power,
    report,
    simulating,
    stopping,
    storing,
    thinking,
    token,
)
from balancer.commands.exits import ERROR, INTERRUPTED, USAGE
from balancer.commands.logs import log_what_nobody_caught, set_up_logs
from balancer.commands.screen import say_error
from balancer.errors import BalancerError

app = typer.Typer(
    name="balancer",
    help="Policy-driven VM load balancer and power saver.",
    epilog="Settings: BALANCER_SITE, BALANCER_POLICY, BALANCER_SECRETS, BALANCER_STATE. Without a site file the "
    "embedded simulated site is used.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (init, doctor, thinking, checking, explaining, looking, report, simulating, acting, stopping):
    module.join(app)
app.add_typer(host.app, name="host", help="Drain hosts for maintenance.")
app.add_typer(notify.app, name="notify", help="See that messages arrive.")
app.add_typer(policy.app, name="policy", help="Look at policies, and tune them.")
app.add_typer(storing.app, name="store", help="Back up what is remembered, and bring it back.")
app.add_typer(token.app, name="token", help="Say who may use the dashboard and the API.")
app.add_typer(power.app, name="power", help="Switch hosts, prove that they wake.")


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balancer {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    # Answered while the line is read: a group without a command is refused before this function is called.
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_say_version)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done in detail.")] = False,
) -> None:
    set_up_logs(verbose)


def main() -> None:
    """Run the command line; every failure that a person can answer is one line, never a traceback."""
    log_what_nobody_caught()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="balancer", standalone_mode=False)
    except typer.TyperException as wrong:
        if wrong.format_message():
            say_error(f"{wrong.format_message()} (balancer --help)")
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BalancerError as failed:
        say_error(str(failed))
        return ERROR
    return code if isinstance(code, int) else 0
