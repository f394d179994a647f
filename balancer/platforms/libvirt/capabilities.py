"""What a hypervisor says of its host, read from its capabilities."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID
from xml.etree import ElementTree

# These differ between machines of one model, and no guest sees them.
_NOT_COMPARED = frozenset({"counter", "microcode", "topology", "pages", "signature"})


@dataclass(frozen=True)
class HostFacts:
    """What does not change while a hypervisor runs."""

    uuid: str | None
    cpu_model: str | None
    cpu_digest: str | None


def host_facts(capabilities_xml: str) -> HostFacts:
    """Read a capabilities document."""
    root = ElementTree.fromstring(capabilities_xml)
    cpu = root.find("host/cpu")
    return HostFacts(
        uuid=_uuid(root.findtext("host/uuid")),
        cpu_model=cpu.findtext("model") if cpu is not None else None,
        cpu_digest=_digest(cpu) if cpu is not None else None,
    )


def _uuid(text: str | None) -> str | None:
    return str(UUID(text.strip())) if text else None


def _digest(cpu: ElementTree.Element) -> str:
    """Equal on hosts whose CPUs a guest could not tell apart."""
    facts = sorted(
        f"{part.tag} {part.text or ''} {sorted(part.items())}" for part in cpu if part.tag not in _NOT_COMPARED
    )
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
