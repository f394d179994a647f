"""The rim: hands a message to one target by Apprise, and says in words what went wrong, without its secrets."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from balancer.domain.notices import Severity, Target
from balancer.errors import MissingExtra, NoticeError
from balancer.notifying.whom import Message
from balancer.secrets import read_secret

if TYPE_CHECKING:
    from apprise import NotifyBase

Send = Callable[[Target, Message], None]
"""Hands a message to a target; NoticeError, SiteError of its secret, or MissingExtra where it does not arrive."""

HIDDEN = "***"
SHORTEST_SECRET = 4  # what is shorter is too common a word to be replaced
OF_ONES_OWN = {"json", "jsons", "xml", "xmls", "form", "forms", "gotify", "gotifys", "apprise", "apprises"}
"""Kinds of URL whose host is a server; of others it may be a part of a token."""


def sender(secrets: Path) -> Send:
    """Return what sends; the secret is read each time, so that a new one needs no restart."""

    def send(target: Target, message: Message) -> None:
        url = url_of(target, secrets)
        plugin = plugin_of(target, url)
        with _what_apprise_says() as said:
            arrived = _hand_over(plugin, message)
        if not arrived:
            cause = redacted("; ".join(said), url) or "it was not taken, and nobody said why"
            raise NoticeError(target.name, "send", cause)

    return send


def url_of(target: Target, secrets: Path) -> str:
    """Read where a target is. SiteError where that cannot be read."""
    return read_secret(target.secret_ref, secrets, f"target {target.name}").value.get_secret_value().strip()


def plugin_of(target: Target, url: str) -> NotifyBase:
    """Return the part of Apprise that knows a target. NoticeError where none understands its URL."""
    try:
        from apprise import Apprise, AppriseAsset
    except ModuleNotFoundError as missing:
        raise MissingExtra("notifications", "notify") from missing
    # In this thread alone: one of Apprise's own would keep the process from ending while a target hangs.
    asset = AppriseAsset(app_id="balancer", app_desc="balancer", app_url="", async_mode=False, service_timeout=0)
    with _what_apprise_says():
        service = Apprise.instantiate(url, asset=asset)
    if service is None:
        way_out = f"{target.secret_ref} has to be one Apprise URL, such as mailtos://... or slack://..."
        raise NoticeError(target.name, "open", "Apprise does not understand its URL", way_out)
    return service


def _hand_over(plugin: NotifyBase, message: Message) -> bool:
    from apprise import Apprise, NotifyFormat, NotifyType

    kinds = {
        None: NotifyType.SUCCESS,
        Severity.INFO: NotifyType.INFO,
        Severity.WARNING: NotifyType.WARNING,
        Severity.CRITICAL: NotifyType.FAILURE,
    }
    everything = Apprise(asset=plugin.asset)
    everything.add(plugin)
    return bool(
        everything.notify(
            title=message.title, body=message.body, notify_type=kinds[message.severity], body_format=NotifyFormat.TEXT
        )
    )


def redacted(words: str, url: str) -> str:
    """Return words without any part of a target's URL but its kind, and its server where that is no secret."""
    secrets = {url, *re.split(r"[/:@?&=#,\s]+", url.partition("://")[2])}
    secrets |= {unquote(secret) for secret in secrets}
    if (server := server_in(url)) is not None:
        secrets -= {server[0]}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            words = re.sub(re.escape(secret), HIDDEN, words, flags=re.IGNORECASE)
    return words


def server_in(url: str) -> tuple[str, int] | None:
    """Return the server and its port that a URL names; None where its kind names none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in OF_ONES_OWN or not parts.hostname:
        return None
    return parts.hostname, port or (443 if parts.scheme.endswith("s") else 80)


@contextmanager
def _what_apprise_says() -> Iterator[list[str]]:
    """Collect what Apprise complains of in this thread, and keep it out of the log: a URL may be in it."""
    said: list[str] = []
    ours = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == ours:
                said.append(record.getMessage())

    logger, listener = logging.getLogger("apprise"), Listener(logging.WARNING)
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(listener)
