"""Commands about who may use pages and API: add, list, remove."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from balancer.commands.exits import DONE
from balancer.commands.opening import SitePath, the_store
from balancer.commands.screen import err, out
from balancer.commands.who import who
from balancer.errors import Fault, InputError
from balancer.store.audit import AuditLine
from balancer.store.tokens import Role

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose it is: the audit names them so.")],
    role: Annotated[Role, typer.Option(help="viewer: looks; operator: decides and acts; admin: tests power as well.")],
    days: Annotated[int | None, typer.Option(min=1, max=3660, help="For how long it counts; absent: for ever.")] = None,
    site: SitePath = None,
) -> int:
    """Make a token and print it: it is kept as a hash, and cannot be shown again."""
    with the_store(site) as store:
        now = datetime.now(UTC)
        until = None if days is None else now + timedelta(days=days)
        secret = store.tokens.add(_usable(name), role, who(), now, until)
        if secret is None:
            raise InputError([Fault(name, "is the name of a token already", f"balancer token remove {name}")])
        store.audit.add(AuditLine(now, who(), f"made a token with the role {role}", f"token:{name}"))
    err.print(Text("this is shown once; keep it like a password", style="dim"))
    out.print(secret, markup=False, soft_wrap=True)
    return DONE


def _usable(name: str) -> str:
    if not (name.strip() == name and name.isprintable() and 0 < len(name) <= 100):
        raise InputError([Fault(repr(name), "is no name for a token", "a word or an address, up to 100 characters")])
    return name


@app.command("list")
def list_tokens(site: SitePath = None) -> int:
    """List the tokens: whose, with which role, until when, and when they were used."""
    with the_store(site) as store:
        tokens = store.tokens.all()
    if not tokens:
        out.print("there are no tokens: balancer token add NAME --role operator")
        return DONE
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("name", "role", "made", "by", "until", "used"):
        table.add_column(title)
    for token in tokens:
        until, used = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (token.until, token.used_at))
        table.add_row(token.name, token.role, f"{token.made_at:%Y-%m-%d %H:%M}", token.made_by, until, used or "never")
    out.print(table)
    return DONE


@app.command()
def remove(name: Annotated[str, typer.Argument(help="Whose token it is.")], site: SitePath = None) -> int:
    """Take a token back; what was opened with it is closed at once."""
    with the_store(site) as store:
        if not store.tokens.remove(name):
            known = ", ".join(token.name for token in store.tokens.all()) or "none"
            raise InputError([Fault(name, "is no token", f"known: {known}")])
        store.audit.add(AuditLine(datetime.now(UTC), who(), "removed a token", f"token:{name}"))
    out.print(f"{name} is let in no more")
    return DONE
