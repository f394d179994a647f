"""What the process is told from outside: environment (BALANCER_...), a .env file, a secrets directory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

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
    log_format: Literal["text", "json"] = "text"
    lease_seconds: float = Field(default=60.0, ge=5, description="for how long the right to act is held without a sign")

    @property
    def embedded_state(self) -> Path | None:
        """Where a day of the embedded site is kept, below a state directory that was named; else nowhere."""
        return self.state / "embedded" if "state" in self.model_fields_set else None


def load_settings() -> Settings:
    """Read the settings; InputError names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as wrong:
        faults = [
            Fault(f"BALANCER_{'_'.join(map(str, error['loc'])).upper()}", f"{error['input']!r}: {error['msg']}")
            for error in wrong.errors(include_url=False)
        ]
        raise InputError(faults) from None
