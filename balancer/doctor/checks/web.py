"""The dashboard: is its address safe, is its certificate there, does anybody have a token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

from balancer.doctor.base import Examined, Finding, Standing
from balancer.settings import load_web_settings


def web(world: Examined) -> Iterator[Finding]:
    """Look at how pages would be served by a service that starts now."""
    settings = load_web_settings()
    if settings.listen == "off":
        yield Finding(Standing.OK, "it is switched off (BALANCER_WEB_LISTEN=off)")
        return
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        return  # the packages have been spoken of
    from balancer.web.serving import address_of, refuse_what_is_unsafe

    address = address_of(settings)
    refuse_what_is_unsafe(settings, address, settings.auth == "off")
    yield Finding(Standing.OK, f"would be served on {address.in_a_url}")
    for file in (settings.tls_certificate, settings.tls_key):
        if file is not None and not os.access(file, os.R_OK):
            yield Finding(Standing.FAULT, f"{file} cannot be read", "BALANCER_WEB_TLS_CERTIFICATE and ..._KEY")
    if world.remembered is not None and settings.auth != "off" and not settings.proxy_addresses:
        tokens = [token for token in world.remembered.tokens.all() if token.until is None or token.until > world.now]
        way_out = "" if tokens else "balancer token add NAME --role operator"
        words = f"tokens: {', '.join(token.name for token in tokens) or 'none, so nobody can log in'}"
        yield Finding(Standing.OK if tokens else Standing.WARNING, words, way_out)
