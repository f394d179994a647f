"""libvirt's errors in words: what they mean for an operator, and the way out."""

from __future__ import annotations

from balancer.errors import PlatformError, Prospect
from balancer.platforms.libvirt.library import LibvirtError, library

NOT_ANSWERING = "see that the host is on and libvirtd runs, and that its `uri` in the site file is right"

CERTIFICATE = (
    "it has to be valid, name the address in its `uri`, and be signed by the authority in this machine's cacert.pem"
)

_WAYS_OUT_BY_CODE = {
    "VIR_ERR_MIGRATE_UNSAFE": "put its disks on shared storage with cache='none'; an unsafe migration is never forced",
    "VIR_ERR_OPERATION_ABORTED": "it was given up on request, and the guest stays at its source",
    "VIR_ERR_AUTH_FAILED": "see that this machine's credentials for libvirt are accepted there",
    "VIR_ERR_AUTH_CANCELLED": "see that this machine's credentials for libvirt are accepted there",
    "VIR_ERR_CPU_INCOMPATIBLE": "give the guest a CPU model that both hosts have",
    "VIR_ERR_OPERATION_TIMEOUT": "another job holds the guest; it is tried again later",
    "VIR_ERR_NO_DOMAIN": "it has been moved or undefined meanwhile",
}

# libvirt says most things about migrations with one general code: its words are all there is to go by.
_WAYS_OUT_BY_WORDS = (
    ("no storage pool with matching target path", "define a storage pool at the disk's directory on the target"),
    ("migrate guest to the same host", "give each host a `host_uuid` of its own in libvirtd.conf"),
    ("failed to connect to remote libvirt", "see that the source host reaches the target's `peer_uri`"),
    (
        "unable to connect to server at",
        "see that the source host reaches the target's `migration_uri`, and its firewall",
    ),
    (
        "unable to resolve address",
        "use an address in the target's `migration_uri`, or make its name known at the source",
    ),
    ("cannot access storage file", "see that the target has the same path to the disk, mounted and readable"),
    ("hook script execution failed", "a hook on that host refuses it; is the host cordoned?"),
    ("cannot acquire state change lock", "another job holds the guest; it is tried again later"),
    ("host key verification failed", "enter the host's key into the known_hosts of the user that the balancer runs as"),
    (
        "permission denied (",
        "see that the host accepts the SSH key that `keyfile` in its `uri` names, or the user's own",
    ),
    ("permission denied", "see that the user that the balancer runs as may use that socket"),
    ("could not resolve hostname", "use an address in its `uri`, or make its name known on this machine"),
    ("nc: not found", "install netcat-openbsd on the host, or leave `socket` out of its `uri`"),
    ("ssh has not come through", NOT_ANSWERING),
    ("certificate is refused", CERTIFICATE),
    ("verify peer's certificate", CERTIFICATE),
    (
        "unable to read tls confirmation",
        "see that the authority in the host's cacert.pem has signed this machine's certificate",
    ),
    ("failed validation against", "have it signed by the authority whose cacert.pem lies beside it"),
    ("has expired", "have it issued anew"),
    (
        "cannot read ca certificate",
        "put cacert.pem, clientcert.pem and clientkey.pem into the directory that `pkipath` in its `uri` names",
    ),
    ("already active", "the guest is active at the target as well: see which of the two is real before anything else"),
    ("connection refused", NOT_ANSWERING),
    ("no route to host", NOT_ANSWERING),
)

_NEVER_CODES = (
    "VIR_ERR_MIGRATE_UNSAFE",
    "VIR_ERR_CPU_INCOMPATIBLE",
    "VIR_ERR_NO_SUPPORT",
    "VIR_ERR_CONFIG_UNSUPPORTED",
)
_NEVER_WORDS = (
    "no storage pool with matching target path",
    "migrate guest to the same host",
    "cannot access storage file",
    "not compatible with the host cpu",
    "unsupported machine type",
    "cannot get interface",
    "cannot migrate",
)
_LATER_CODES = (
    "VIR_ERR_OPERATION_TIMEOUT",
    "VIR_ERR_OPERATION_ABORTED",
    "VIR_ERR_NO_DOMAIN",
    "VIR_ERR_AGENT_UNRESPONSIVE",
)
_LATER_WORDS = (
    "cannot acquire state change lock",
    "cannot allocate memory",
    "hook script execution failed",
    "failed to connect to remote libvirt",
    "unable to connect to server at",
    "connection refused",
    "no route to host",
    "timed out",
)

_LOST_WORDS = ("client socket is closed", "keepalive", "end of file while reading", "broken pipe", "connection reset")


def platform_error(host: str, operation: str, error: LibvirtError) -> PlatformError:
    """Turn libvirt's error into ours."""
    # What ssh has said comes in lines.
    said = " ".join(str(error).removeprefix("internal error: ").split())
    return PlatformError(host, operation, said, way_out(error), prospect_of(error))


def prospect_of(error: LibvirtError) -> Prospect:
    """Say whether what has failed may work another time."""
    said = str(error).lower()
    if is_lost(error):
        return Prospect.LATER
    if _has_code(error, _NEVER_CODES) or any(words in said for words in _NEVER_WORDS):
        return Prospect.NEVER_HERE
    if _has_code(error, _LATER_CODES) or any(words in said for words in _LATER_WORDS):
        return Prospect.LATER
    return Prospect.UNKNOWN


def _has_code(error: LibvirtError, names: tuple[str, ...]) -> bool:
    libvirt, code = library(), error.get_error_code()
    return any(code == getattr(libvirt, name, None) for name in names)


def unreached(host: str, operation: str, error: OSError) -> PlatformError:
    """Say why a hypervisor could not be spoken to at all."""
    said = error.strerror or str(error)
    return PlatformError(host, operation, said, _way_out_by_words(said) or NOT_ANSWERING, Prospect.LATER)


def way_out(error: LibvirtError) -> str:
    """Return what to do about an error; empty where libvirt's own words have to do."""
    # Why ssh gave up comes before that it did: "Host key verification failed.: Connection reset by peer".
    way = _way_out_by_words(str(error))
    if way or is_lost(error):
        return way or NOT_ANSWERING
    libvirt = library()
    code = error.get_error_code()
    return next((way for name, way in _WAYS_OUT_BY_CODE.items() if code == getattr(libvirt, name)), "")


def _way_out_by_words(said: str) -> str:
    return next((way for words, way in _WAYS_OUT_BY_WORDS if words in said.lower()), "")


def is_lost(error: LibvirtError) -> bool:
    """Whether the connection broke: what was asked for may have been done or not."""
    said = str(error).lower()
    return any(words in said for words in _LOST_WORDS)


def is_not_found(error: LibvirtError) -> bool:
    """Whether the hypervisor says that it has no such guest."""
    return bool(error.get_error_code() == library().VIR_ERR_NO_DOMAIN)
