"""How pages look: templates, and the few words and numbers that all of them share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from balancer import __version__
from balancer.domain.units import count_of, in_words, memory_in_words
from balancer.reporting.pages.page import coded
from balancer.reporting.pages.tiles import side_by_side, tile
from balancer.store.tokens import Role
from balancer.web.door import Door
from balancer.web.identity import VISIT_COOKIE, Visitor, new_visit

HERE = Path(__file__).parent
STATIC = HERE / "static"
PAGES = (
    ("/", "Overview"),
    ("/plan", "Plan"),
    ("/runs", "Running"),
    ("/hosts", "Hosts"),
    ("/guests", "Guests"),
    ("/power", "Power"),
    ("/policy", "Policy"),
    ("/history", "History"),
    ("/audit", "Audit"),
)
_INSIDE = re.compile(r"/[A-Za-z0-9_.~%/?=&+-]*")


class Looks:
    """Draws pages."""

    def __init__(self, door: Door, is_secure: bool) -> None:
        self._door, self._is_secure = door, is_secure
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "share": lambda share: f"{share:.0%}",
            "moment": lambda at: f"{at:%Y-%m-%d %H:%M}" if at else "",
            "clock": lambda at: f"{at:%H:%M:%S}" if at else "",
            "seconds": in_words,
            "memory": memory_in_words,
            "url": lambda name: quote(str(name), safe=""),
            "coded": lambda said: Markup(coded(said)),
            "first_up": lambda said: said[:1].upper() + said[1:],
        }
        self._templates.globals |= {
            "count_of": count_of,
            "PAGES": PAGES,
            "version": __version__,
            "tile": lambda each: Markup(tile(each)),
            "side_by_side": lambda pairs: Markup(side_by_side(pairs, is_linked=True)),
        }

    def page(self, name: str, request: Request, visitor: Visitor, status: int = 200, **values: Any) -> HTMLResponse:
        """Draw a page for somebody who was let in."""
        fresh = new_visit() if visitor.cookie is not None and not visitor.cookie else None
        if self._door.is_open_to_all and visitor.cookie is None:
            fresh = new_visit()
        if fresh:
            visitor = Visitor(visitor.name, visitor.role, fresh)
        answer = HTMLResponse(self.fragment(name, request, visitor, **values), status)
        if fresh:
            self.set_cookie(answer, VISIT_COOKIE, fresh)
        return answer

    def fragment(self, name: str, request: Request, visitor: Visitor, **values: Any) -> str:
        """Draw a template with what all of them know."""
        known, health = self._door.board.latest, self._door.board.health
        shared = {
            "path": request.url.path,
            "visitor": visitor,
            "may_operate": visitor.may(Role.OPERATOR),
            "may_administer": visitor.may(Role.ADMIN),
            "cluster": self._door.site.name,
            "known": known,
            "health": health,
            "held": self._held(),
            "now": self._door.now,
            "is_open_to_all": self._door.is_open_to_all,
        }
        return self._templates.get_template(name).render(shared | values)

    def _held(self) -> str:
        return self._door.site.why_held

    def login(self, request: Request, wrong: str = "", status: int = 200) -> HTMLResponse:
        """Draw the page on which a token is shown."""
        values = {"cluster": self._door.site.name, "wrong": wrong, "next": request.query_params.get("next", "/")}
        return HTMLResponse(self._templates.get_template("login.html").render(values), status)

    def failure(self, request: Request, status: int, said: str) -> HTMLResponse:
        """Draw what went wrong, with a way back."""
        values = {"cluster": self._door.site.name, "status": status, "said": said}
        return HTMLResponse(self._templates.get_template("failure.html").render(values), status)

    def set_cookie(self, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Set a cookie that no script reads and no other site sends."""
        answer.set_cookie(
            name, value, max_age=seconds, httponly=True, secure=self._is_secure, samesite="strict", path="/"
        )

    @staticmethod
    def inside(target: str) -> str:
        """Return where to go after the login: nowhere but to a page of ours."""
        return target if _INSIDE.fullmatch(target) and not target.startswith("//") else "/"
