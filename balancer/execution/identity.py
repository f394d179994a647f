"""Whose BMC is it? Cutting the power of the wrong server is the worst that can happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from balancer.errors import PowerError
from balancer.execution.acting_site import ActingSite
from balancer.power.base import PowerSwitch
from balancer.power.identity import same_machine
from balancer.store.marks import IdentityProof, ProofMethod


@dataclass(frozen=True)
class Identity:
    """What is known of a BMC: a proof that it is its host's own, or why there is none.

    `is_another` when it is certain that it belongs to another host; then not even a test may use it.
    """

    proof: IdentityProof | None
    why_not: str = ""
    is_another: bool = False


def prove_identity(site: ActingSite, host: str) -> Identity:
    """Compare the GUID that a host's BMC reports with the UUID of its hypervisor, and remember it where they agree."""
    found = identity_now(site, host)
    if found.proof is not None and found.proof.method is ProofMethod.GUID:
        site.store.marks.prove_identity(host, found.proof)
    return found


def identity_now(site: ActingSite, host: str) -> Identity:
    """Find out whose BMC it is, as it answers now; a stored proof counts while address and GUID are what they were."""
    switch = site.switch_of(host)
    if switch is None:
        return Identity(None, f"{host} has no BMC in the site file")
    try:
        guid = switch.system_guid()
    except PowerError as failed:
        return Identity(None, f"whose BMC it is could not be asked: {failed}")
    others = [other for other in _others(site, host) if same_machine(guid, site.platform.host_uuid(other))]
    uuid = site.platform.host_uuid(host)
    if same_machine(guid, uuid):
        return _agreeing(site, host, switch, guid, uuid, others)
    if others:
        words = f"BMC of {host} at {switch.address} is {others[0]}'s; are the two entries exchanged?"
        return Identity(None, words, is_another=True)
    return _witnessed(site, host, switch, guid)


def _agreeing(
    site: ActingSite, host: str, switch: PowerSwitch, guid: str | None, uuid: str | None, others: list[str]
) -> Identity:
    if others:
        words = (
            f"BMC of {host} and hypervisors of {host} and {', '.join(others)} all report {guid}, so it tells nothing"
        )
        return Identity(None, words)
    return Identity(IdentityProof(site.now, ProofMethod.GUID, switch.address, guid, uuid))


def _witnessed(site: ActingSite, host: str, switch: PowerSwitch, guid: str | None) -> Identity:
    stored = site.store.marks.of(host).identity
    if stored is None or stored.method is not ProofMethod.WITNESSED:
        said = f"it reports the GUID {guid}" if guid else "it reports no GUID"
        uuid = site.platform.host_uuid(host)
        return Identity(
            None,
            f"BMC of {host} at {switch.address} is not proven to be its own: {said}, the hypervisor the UUID {uuid}; "
            f"balancer power test {host}",
        )
    uuid = site.platform.host_uuid(host)
    if not stored.covers(switch.address, guid, uuid):
        was = f"{stored.address} with GUID {stored.guid} for the machine {stored.uuid}"
        now = f"{switch.address} with GUID {guid} for the machine {uuid}"
        return Identity(
            None, f"BMC of {host} is not the one that was tested: it was {was}, it is {now}; balancer power test {host}"
        )
    return Identity(stored)


def _others(site: ActingSite, host: str) -> Iterator[str]:
    return (entry.name for entry in site.file.hosts if entry.name != host)
