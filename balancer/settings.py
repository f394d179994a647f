"""What the process is told from outside: environment (BALANCER_...), a .env file, a secrets directory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from balancer.errors import Fault, InputError


class Settings(BaseSettings):
    """Where things are. The cluster itself stands in the site file, what is wanted of it in the policy file."""

    model_config = SettingsConfigDict(env_prefix="BALANCER_", env_file=".env", extra="ignore")

    site: Path | None = Field(default=None, description="site file; without one the embedded simulated site is used")
    policy: Path | None = Field(default=None, description="policy file; without one the default policy recommends only")
    secrets: Path = Field(default=Path("/run/secrets"), description="directory of files that `secret_ref: file:` names")
    state: Path = Field(default=Path("."), description="directory for the health file and the embedded history")
    kill_file: Path | None = Field(
        default=None,
        description="while this file exists nothing is begun, waking included; absent: `balancer.stop` in `state`",
    )
    log_format: Literal["text", "json"] | None = Field(
        default=None, description="of the log; absent: text on a terminal, else JSON"
    )
    lease_seconds: float = Field(default=60.0, ge=5, description="for how long the right to act is held without a sign")

    @property
    def embedded_state(self) -> Path | None:
        """Where a day of the embedded site is kept, below a state directory that was named; else nowhere."""
        return self.state / "embedded" if "state" in self.model_fields_set else None


class WebSettings(BaseSettings):
    """How pages and API are served. Who may do what stands in the store: `balancer token add`."""

    model_config = SettingsConfigDict(env_prefix="BALANCER_WEB_", env_file=".env", extra="ignore")

    listen: str = Field(default="127.0.0.1:8230", description="address:port of pages and API; `off`: there are none")
    auth: Literal["tokens", "off"] | None = Field(
        default=None,
        description="tokens: who comes in shows one; off: everybody on this machine is an admin, on a loopback address "
        "alone; absent: tokens, and off for the embedded simulated site",
    )
    hosts: str = Field(
        default="", description="names by which browsers call it, with commas; loopback and the address always count"
    )
    tls_certificate: Path | None = Field(default=None, description="PEM file; with `tls_key` it is served by TLS")
    tls_key: Path | None = Field(default=None, description="PEM file")
    behind_tls: bool = Field(default=False, description="a proxy before it speaks TLS to browsers")
    proxy_addresses: str = Field(
        default="", description="addresses or networks of proxies whose word on who somebody is counts, with commas"
    )
    proxy_user_header: str = Field(default="X-Forwarded-User", description="in which such a proxy names the person")
    proxy_groups_header: str = Field(default="X-Forwarded-Groups", description="in which it names the groups")
    proxy_roles: str = Field(
        default="", description="roles by group, with commas: `vm-admins=admin,oncall=operator`; the highest counts"
    )
    proxy_role: Literal["none", "viewer", "operator", "admin"] = Field(
        default="viewer", description="the role of a person in none of these groups; none: not let in"
    )
    session_hours: float = Field(default=12.0, gt=0, le=720, description="after which a browser has to log in again")


def load_settings() -> Settings:
    """Read the settings; InputError names the variable that is wrong."""
    return _read(Settings, "BALANCER_")


def load_web_settings() -> WebSettings:
    """Read how pages and API are served; InputError names the variable that is wrong."""
    return _read(WebSettings, "BALANCER_WEB_")


S = TypeVar("S", bound=BaseSettings)


def _read(kind: type[S], prefix: str) -> S:
    try:
        return kind()
    except ValidationError as wrong:
        faults = [
            Fault(f"{prefix}{'_'.join(map(str, error['loc'])).upper()}", f"{error['input']!r}: {error['msg']}")
            for error in wrong.errors(include_url=False)
        ]
        raise InputError(faults) from None
