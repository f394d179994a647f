"""The command that begins a site: init."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from balancer.beginning.answers import Answers, BmcKind, described
from balancer.beginning.finding import BmcFound, Found, find
from balancer.beginning.remarks import Weight, remarks
from balancer.beginning.written import policy_text, site_text
from balancer.commands.exits import DONE, ERROR
from balancer.commands.screen import err, out
from balancer.domain.site_file import SiteFile
from balancer.domain.units import count_of, gib
from balancer.errors import Fault, InputError
from balancer.formats import read
from balancer.policy import load
from balancer.power.identity import same_machine

PASSWORD = "BALANCER_INIT_BMC_PASSWORD"  # nosec B105  # the variable that holds it


def join(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(init)


def _option(name: str, help: str) -> Any:
    return typer.Option(f"--{name}", help=help, envvar=f"BALANCER_INIT_{name.upper().replace('-', '_')}")


def init(  # nosec B107  # `secret` is the name of a file
    hosts: Annotated[
        str, _option("hosts", "The hosts: hv1,hv2 or hv[01-12] or hv1=192.0.2.11 or whole libvirt URIs.")
    ] = "",
    cluster: Annotated[str, _option("cluster", "What the cluster is called.")] = "production",
    uri: Annotated[
        str, _option("uri", "How this machine reaches a hypervisor, with {host}, {address}, {n} in it.")
    ] = "qemu+ssh://root@{address}/system",
    peer_uri: Annotated[str, _option("peer-uri", "How the other hosts reach it; absent: the same way.")] = "",
    migration_uri: Annotated[
        str,
        _option("migration-uri", "Where guests' memory goes, such as tcp://{address}."),
    ] = "",
    bmc: Annotated[
        str, _option("bmc", "The BMCs: a pattern such as {host}-bmc.example, or one address a host; `none`.")
    ] = "none",
    bmc_kind: Annotated[BmcKind, _option("bmc-kind", "What the BMCs speak.")] = "ipmi",
    bmc_user: Annotated[str, _option("bmc-user", "Who asks them.")] = "",
    bmc_password_file: Annotated[
        Path | None, typer.Option(help=f"A file with their password, which is copied; or the variable {PASSWORD}.")
    ] = None,
    secret: Annotated[
        str, _option("secret", "What the password's file is called; {host}-bmc where each host has its own.")
    ] = "bmc",
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where the files are written.")] = Path("."),
    deadline: Annotated[float, typer.Option(min=1, max=120, help="Seconds that a hypervisor has to answer.")] = 10.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: options and variables answer.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> int:
    """Begin a site: ask a few questions, look at every host and BMC, write site.yaml and policy.yaml. Moves nothing.

    Exit code 0: all that was named answers; 1: the files are written, and something is wrong with a host, in words.
    """
    directory = directory.absolute()
    written = {name: directory / name for name in ("site.yaml", "policy.yaml")}
    _refuse_to_overwrite([] if force else written.values())
    if not yes:
        hosts = hosts or typer.prompt("The hosts, such as hv[1-3] or hv1=192.0.2.11,hv2=192.0.2.12", err=True)
        cluster = typer.prompt("The cluster's name", default=cluster, err=True)
        uri = uri if "://" in hosts else typer.prompt("How to reach a hypervisor", default=uri, err=True)
        bmc = typer.prompt("The BMCs, such as {host}-bmc or 198.51.100.{n}, or none", default=bmc, err=True)
        if bmc != "none":
            bmc_kind = typer.prompt("What they speak (ipmi, redfish)", default=bmc_kind, err=True)
            bmc_user = typer.prompt("Who asks them", default=bmc_user or "balancer", err=True)
    answers = Answers(
        cluster=cluster,
        hosts=hosts,
        uri=uri,
        peer_uri=peer_uri,
        migration_uri=migration_uri,
        bmc=bmc,
        bmc_kind=bmc_kind,
        bmc_user=bmc_user,
        secret=secret,
        store=f"sqlite:///{directory / 'balancer.db'}",
    )
    site = described(answers)
    secrets = _secrets_in(directory)
    _keep_passwords(site, secrets, bmc_password_file, ask=not yes)
    with err.status(f"asking {count_of(len(site.hosts), 'host')} ..."):
        found = find(site, secrets, deadline)
    said = remarks(site, found)
    written["site.yaml"].write_text(site_text(site, found, said, datetime.now(UTC)))
    written["policy.yaml"].write_text(policy_text(site.cluster))
    load(written["policy.yaml"], read(written["site.yaml"], SiteFile).cluster)  # what we write, we can read
    out.print(_table(site, found))
    for remark in said:
        colour = "red" if remark.weight is Weight.FAULT else "yellow"
        about = f"{remark.host}: " if remark.host else ""
        out.print(Text.assemble((f"{remark.weight} ", colour), about + remark.words), soft_wrap=True)
    _say_what_next(directory)
    return ERROR if any(remark.weight is Weight.FAULT for remark in said) else DONE


def _refuse_to_overwrite(paths: Iterable[Path]) -> None:
    there = [path for path in paths if path.exists()]
    if there:
        way_out = "--force writes over it, --directory writes elsewhere"
        raise InputError([Fault(str(path), "is there already", way_out) for path in there])


def _secrets_in(directory: Path) -> Path:
    """Make the directory of the secrets, for its owner alone."""
    secrets = directory / "secrets"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        secrets.mkdir(mode=0o700, exist_ok=True)
    except OSError as failed:
        cause = (failed.strerror or str(failed)).lower()
        raise InputError([Fault(str(directory), cause, "another --directory, which this user may write")]) from failed
    return secrets


def _keep_passwords(site: SiteFile, secrets: Path, given: Path | None, ask: bool) -> None:
    """Put the BMCs' password where the site file looks for it; a file that is there already is left alone."""
    refs = {host.bmc.secret_ref for host in site.hosts if host.bmc is not None and host.bmc.secret_ref}
    lacking = [path for ref in sorted(refs) if not (path := secrets / ref.removeprefix("file:")).exists()]
    if not lacking:
        return
    password = _password(given, ask)
    if not password:
        err.print(Text(f"the BMCs' password is to be put into {', '.join(map(str, lacking))}", style="yellow"))
        return
    for path in lacking:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(password + "\n")


def _password(given: Path | None, ask: bool) -> str:
    if given is not None:
        try:
            return given.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as failed:
            raise InputError([Fault(str(given), "cannot be read", "a file with the password alone")]) from failed
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    return str(typer.prompt("Their password", hide_input=True, err=True)) if ask else ""


def _table(site: SiteFile, found: Found) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("host", "hypervisor", "cores", "memory", "guests", "BMC"):
        table.add_column(title, justify="right" if title in {"cores", "memory", "guests"} else "left")
    for host in site.hosts:
        there = found.hosts.get(host.name)
        facts = ("does not answer", "", "", "")
        if there is not None:
            memory = f"{gib(there.memory_mib):.0f} GiB"
            facts = (f"libvirt {there.libvirt}, {there.hypervisor}", str(there.cpus), memory, str(there.guests))
        bmc = found.bmcs.get(host.name)
        table.add_row(host.name, *facts, _bmc_words(bmc, there.facts.uuid if there else None))
    return table


def _bmc_words(bmc: BmcFound | None, uuid: str | None) -> str:
    if bmc is None:
        return "none"
    if bmc.failure:
        return "does not answer as it should"
    return f"says {bmc.state}" + (", is its own" if same_machine(bmc.guid, uuid) else "")


def _say_what_next(directory: Path) -> None:
    here = "$PWD" if directory == Path.cwd() else shlex.quote(str(directory))
    out.print(Text(f"\nwritten: {directory}/site.yaml, policy.yaml, secrets/. Next:\n"))
    settings = (f"{name}={here}" + ("" if file == "." else f"/{file}") for name, file in _SETTINGS.items())
    for line in (f"export {' '.join(settings)}", *_NEXT):
        out.print(Text(f"    {line}"), soft_wrap=True)


_SETTINGS = {
    "BALANCER_SITE": "site.yaml",
    "BALANCER_POLICY": "policy.yaml",
    "BALANCER_SECRETS": "secrets",
    "BALANCER_STATE": ".",
}
_NEXT = (
    "balancer doctor                           # is all as it should be?",
    "balancer plan                             # what would it do, and why? nothing is touched",
    "balancer token add YOU --role admin       # for the dashboard",
    "balancer run                              # the service, in the policy's mode: it only recommends",
)
