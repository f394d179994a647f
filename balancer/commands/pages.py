"""Serves pages and API beside the service, where they are wanted and their packages are there."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import structlog

from balancer.errors import BalancerError, Fault, InputError, MissingExtra
from balancer.service import Service
from balancer.settings import WebSettings, load_web_settings
from balancer.site import Site

log = structlog.get_logger()

PORTS_TRIED = 10  # for the embedded site, of which several may be looked at side by side


@contextmanager
def the_pages(site: Site, service: Service, is_embedded: bool = False) -> Iterator[str]:
    """Serve pages and API for as long as the block runs; yields their URL, empty where there are none.

    Who asked for an address that cannot be had is told so; otherwise the service works on without pages.
    """
    settings = load_web_settings()
    with ExitStack() as held:
        try:
            url = _opened(held, site, service, settings, is_embedded)
        except BalancerError as wrong:
            if "listen" in settings.model_fields_set:
                raise
            log.warning("no pages are served", cause=str(wrong))
            url = ""
        yield url


def _opened(held: ExitStack, site: Site, service: Service, settings: WebSettings, is_embedded: bool) -> str:
    if settings.listen == "off":
        return ""
    try:
        from balancer.web.door import Door
        from balancer.web.serving import address_of, serving
    except ModuleNotFoundError as missing:
        if (missing.name or "balancer").startswith("balancer"):
            raise
        raise MissingExtra("the dashboard and the API", "web") from missing
    address = address_of(settings)
    is_open_to_all = settings.auth == "off" or (settings.auth is None and is_embedded and address.is_loopback)
    door = Door(site, service.board, service.chronicle, settings, is_open_to_all)
    for port in range(address.port, address.port + (PORTS_TRIED if is_embedded and address.port else 1)):
        try:
            return held.enter_context(serving(door, replace(address, port=port)))
        except OSError as failed:
            if failed.errno != errno.EADDRINUSE:
                raise _not_had(settings, failed) from failed
            last = failed
    raise _not_had(settings, last) from last


def _not_had(settings: WebSettings, failed: OSError) -> InputError:
    cause = (failed.strerror or str(failed)).lower()
    return InputError([Fault("BALANCER_WEB_LISTEN", f"{settings.listen}: {cause}", "another address:port, or off")])
