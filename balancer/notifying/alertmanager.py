"""The rim: asks an Alertmanager for silences by its API (v2), under a deadline."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from balancer.domain.notices import Alertmanager
from balancer.errors import NoticeError
from balancer.notifying.silences import Changes, Silence, Sleepers, as_posted, changes, ours
from balancer.secrets import read_secret

NAME = "alertmanager"
MOST_BYTES = 64 * 2**20  # of an answer; a silence takes half a KiB
CAUSE_CHARACTERS = 300


class Silencer:
    """Keeps one Alertmanager silent about hosts that sleep."""

    def __init__(self, rules: Alertmanager, cluster: str, secrets: Path) -> None:
        self._rules, self._cluster, self._secrets = rules, cluster, secrets

    def keep_silent(self, wanted: Sleepers, now: datetime) -> Changes:
        """Bring its silences to what is wanted, and return what was changed. NoticeError where it does not answer."""
        done = changes(wanted, self.silences(), self._cluster, self._rules, now)
        # Those that end come first: somebody waits to be paged.
        for silence in done.end:
            self.end(silence)
        for silence in done.put:
            self.put(silence)
        return done

    def silences(self) -> tuple[Silence, ...]:
        """Return our silences that are in force."""
        listed = self._ask("GET", "silences")
        try:
            return tuple(ours(listed, self._cluster))
        except (KeyError, TypeError, ValueError, AttributeError) as failed:
            raise NoticeError(NAME, "list silences", f"its answer is not one of API v2: {failed!r}") from failed

    def put(self, silence: Silence) -> str:
        """Begin or renew a silence; returns its id."""
        answer = self._ask("POST", "silences", as_posted(silence, self._cluster))
        if not isinstance(answer, dict) or not answer.get("silenceID"):
            raise NoticeError(NAME, "begin a silence", f"its answer is not one of API v2: {answer!r}")
        return str(answer["silenceID"])

    def end(self, silence: Silence) -> None:
        """End a silence now."""
        self._ask("DELETE", f"silence/{silence.id}")

    def version(self) -> str:
        """Return its version."""
        answer = self._ask("GET", "status")
        try:
            return str(answer["versionInfo"]["version"])
        except (KeyError, TypeError) as failed:
            raise NoticeError(NAME, "ask its version", "its answer is not one of API v2") from failed

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        what = f"{method} {path}"
        url = f"{self._rules.url.rstrip('/')}/api/v2/{path}"
        headers = {"Accept": "application/json", "Content-Type": "application/json", **self._credentials()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener().open(request, timeout=self._rules.deadline_seconds) as answer:
                said = answer.read(MOST_BYTES)
            return json.loads(said) if said.strip() else None
        except urllib.error.HTTPError as refused:
            words = refused.read(CAUSE_CHARACTERS).decode(errors="replace").strip()
            raise NoticeError(NAME, what, f"it answers {refused.code}: {words or refused.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as failed:
            raise NoticeError(NAME, what, str(getattr(failed, "reason", "") or failed)) from None

    def _opener(self) -> urllib.request.OpenerDirector:
        tls = self._tls()
        return urllib.request.build_opener(_NoRedirects, *([urllib.request.HTTPSHandler(context=tls)] if tls else []))

    def _credentials(self) -> dict[str, str]:
        if self._rules.secret_ref is None:
            return {}
        secret = read_secret(self._rules.secret_ref, self._secrets, NAME).value.get_secret_value()
        if self._rules.user is None:
            return {"Authorization": f"Bearer {secret}"}
        pair = base64.b64encode(f"{self._rules.user}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def _tls(self) -> ssl.SSLContext | None:
        if not self._rules.url.startswith("https"):
            return None
        try:
            return ssl.create_default_context(cafile=self._rules.ca_file)
        except OSError as failed:
            cause = f"{self._rules.ca_file} cannot be read: {failed.strerror or failed}"
            raise NoticeError(NAME, "trust its certificate", cause, "`ca_file` names a PEM file") from failed


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: credentials would go along, and what is posted would not."""

    def redirect_request(self, *_: Any) -> None:
        return None
