"""The lab by hand: `python -m tests.lab up`."""

import argparse
import sys
import time
from pathlib import Path

from . import hosts, leftovers
from .commands import LabError
from .guests import last_counter
from .lab import Lab
from .names import DEFAULT_DIRECTORY
from .requirements import missing


def main() -> int:
    arguments = parser().parse_args()
    arguments.dir = arguments.dir.resolve()
    if lacks := missing():
        print("the lab lacks: " + ", ".join(lacks), file=sys.stderr)
        return 1
    try:
        arguments.command(arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    top.add_argument("--dir", type=Path, default=DEFAULT_DIRECTORY, help="where the lab lives (default: %(default)s)")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a lab afresh; replaces one that is there")
    up.add_argument("--hosts", type=int, default=3, help="how many hypervisors (default: %(default)s)")
    up.add_argument(
        "--guests", nargs="*", default=[], metavar="NAME@HOST[:PERCENT]", help="for example web1@hv1:30 db1@hv2:50"
    )
    up.set_defaults(command=bring_up)

    commands.add_parser("status", help="what the hosts, BMCs and guests do").set_defaults(command=show_status)

    load = commands.add_parser("load", help="change how much of a CPU a running guest burns")
    load.add_argument("guest")
    load.add_argument("percent", type=int)
    load.set_defaults(command=change_load)

    commands.add_parser("down", help="remove the lab with all that belongs to it").set_defaults(command=take_down)
    return top


def bring_up(given: argparse.Namespace) -> None:
    began = time.monotonic()
    lab = Lab(hosts=given.hosts, directory=given.dir)
    wanted = [guest_wanted(lab, text) for text in given.guests]
    lab.up()
    for name, host, percent in wanted:
        lab.start_guest(name, host, load_percent=percent)
    lab.wait_for_guests(*(name for name, _, _ in wanted))
    print(f"{given.hosts} hosts and {len(wanted)} guests are up after {time.monotonic() - began:.1f} s")
    print(f"site file:  {lab.site_file()}\nsecrets:    {lab.secrets_dir}")
    print(f"try:        virsh -c {lab.hosts[0].uri} list --all")


def guest_wanted(lab: Lab, text: str) -> tuple[str, str, int]:
    name, at, rest = text.partition("@")
    host, colon, percent = rest.partition(":")
    if not (name and at and host) or (colon and not percent.isdigit()):
        raise LabError(f"a guest is written NAME@HOST or NAME@HOST:PERCENT, not '{text}'")
    return name, lab.host(host).name, int(percent or 10)


def change_load(given: argparse.Namespace) -> None:
    Lab.found_in(given.dir).set_load(given.guest, given.percent)
    print(f"{given.guest} now burns {given.percent} % of a CPU")


def show_status(given: argparse.Namespace) -> None:
    lab = Lab.found_in(given.dir)
    for host in lab.hosts:
        print(f"{host.name}  {host.uri}  {host_state(lab, host)}, BMC says {bmc_opinion(lab, host.name)}")
        for guest in guests_on(lab, host.name):
            print(f"     {guest:<12} {last_counter(lab.console(guest)) or 'has not counted yet'}")


def host_state(lab: Lab, host: hosts.Host) -> str:
    if not lab.is_on(host.name):
        return "off"
    return "on, libvirtd answers" if lab.libvirtd_running(host.name) else "on, libvirtd does not answer"


def bmc_opinion(lab: Lab, host: str) -> str:
    try:
        return lab.power_state(host)
    except LabError:
        return "nothing"


def guests_on(lab: Lab, host: str) -> list[str]:
    if not lab.libvirtd_running(host):
        return []
    return lab.virsh(host, "list", "--name").split()


def take_down(given: argparse.Namespace) -> None:
    there = leftovers.found(given.dir)
    Lab(directory=given.dir).down()
    print(f"removed {len(there)} things of a lab" if there else "there was no lab")


if __name__ == "__main__":
    sys.exit(main())
