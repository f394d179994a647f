"""Commands about the store as a whole: backup, restore, show."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from balancer.commands.exits import DONE
from balancer.commands.opening import SitePath, the_site_file, the_store
from balancer.commands.screen import out
from balancer.commands.who import who
from balancer.settings import load_settings
from balancer.site import store_password
from balancer.store.audit import AuditLine
from balancer.store.examining import StoreFound, examine_store
from balancer.store.keeping import back_up, restore
from balancer.store.tables import SCHEMA_VERSION

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

EMBEDDED = "the embedded site remembers nothing that has to be kept"


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to put it; readable by its owner alone.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    site: SitePath = None,
) -> int:
    """Copy the store to a file, as it is at one moment, while the service runs. A store on a server is refused."""
    found = back_up(the_site_file(site, EMBEDDED).store, file, over=force)
    size = _size(file.stat().st_size)
    out.print(f"{file}: {size}, schema {found.schema}, cluster {found.cluster}", markup=False, soft_wrap=True)
    return DONE


@app.command("restore")
def restore_store(
    file: Annotated[Path, typer.Argument(help="What `balancer store backup` wrote.")], site: SitePath = None
) -> int:
    """Put a backup in the store's place; what was there is kept beside it. Refused while a balancer acts."""
    described = the_site_file(site, EMBEDDED)
    now = datetime.now(UTC)
    kept = restore(described.store, file, described.cluster, now)
    if kept is not None:
        out.print(f"the old store is kept: {kept}", markup=False, soft_wrap=True)
    with the_store(site) as store:
        store.audit.add(AuditLine(now, who(), "restored the store", f"file:{file.name}"))
    out.print(f"{file} is the store now; look before it acts: balancer doctor", markup=False, soft_wrap=True)
    return DONE


@app.command()
def show(site: SitePath = None) -> int:
    """Say where the store is, of which version, how large, and from when its cycles are. Changes nothing."""
    described = the_site_file(site, EMBEDDED)
    found = examine_store(described.store, store_password(described, load_settings().secrets))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in _facts(found):
        table.add_row(name, words)
    out.print(table)
    return DONE


def _facts(found: StoreFound) -> list[tuple[str, str]]:
    where = ("store", found.name)
    if found.schema is None:
        return [where, ("schema", "it has not been made yet: the first start makes it")]
    facts = [where, ("schema", _version(found.schema)), ("cluster", found.cluster or "any")]
    if found.file is not None:
        parts = (found.file, found.file.with_name(f"{found.file.name}-wal"))
        facts.append(("size", _size(sum(part.stat().st_size for part in parts if part.exists()))))
    if found.opened is None:
        return facts
    try:
        span = found.opened.cycles.span()
        holder = found.opened.lease.holder(datetime.now(UTC))
    finally:
        found.opened.close()
    cycles = f"{span[0]:%Y-%m-%d %H:%M} to {span[1]:%Y-%m-%d %H:%M} UTC" if span else "none yet"
    acts = f"{holder.owner}, until {holder.until:%H:%M:%S} UTC" if holder else "nobody"
    return [*facts, ("cycles", cycles), ("acts", acts)]


def _version(schema: int) -> str:
    if schema < SCHEMA_VERSION:
        return f"{schema}; the next start brings it to {SCHEMA_VERSION}"
    if schema > SCHEMA_VERSION:
        return f"{schema}; this version of balancer knows {SCHEMA_VERSION} and refuses it"
    return str(schema)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"
