"""sushy-tools' emulator of a BMC, its power button wired to a program; run by file name: CONFIG.json.

The program is called like ipmi_sim calls one: `PROGRAM 0x20 get power`, `PROGRAM 0x20 set power|shutdown VALUE`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from flask import Response, request
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems.fakedriver import FakeDriver

config = json.loads(Path(sys.argv[1]).read_text())
WISHES = {
    "On": ("power", "1"),
    "ForceOn": ("power", "1"),
    "ForceOff": ("power", "0"),
    "GracefulShutdown": ("shutdown", "1"),
}


def chassis(*words: str) -> str:
    called = [config["program"], "0x20", *words]
    return subprocess.run(called, capture_output=True, text=True, check=True).stdout


def get_power_state(self: Any, identity: str) -> str:
    self._get(identity)
    return "On" if "power:1" in chassis("get", "power") else "Off"


def set_power_state(self: Any, identity: str, state: str) -> None:
    self._get(identity)
    chassis("set", *WISHES[state])


def add_watts(response: Response) -> Response:
    """The emulator measures nothing, and real BMCs do."""
    if request.path.startswith("/redfish/v1/Chassis/") and response.is_json and "watts" in config:
        answer = response.get_json()
        answer["Power"] = {"@odata.id": f"{request.path}/Power"}
        response.set_data(json.dumps(answer))
    return response


def power_of_chassis(identity: str) -> dict[str, Any]:
    return {"Id": "Power", "Name": "Power", "PowerControl": [{"MemberId": "0", "PowerConsumedWatts": config["watts"]}]}


FakeDriver.get_power_state = get_power_state
FakeDriver.set_power_state = set_power_state
app = emulator.app
app.configure(extra_config={key: value for key, value in config.items() if key.startswith("SUSHY_")})
app.after_request(add_watts)
app.add_url_rule("/redfish/v1/Chassis/<identity>/Power", view_func=power_of_chassis)
app.run(host="127.0.0.1", port=config["port"], ssl_context=(config["certificate"], config["key"]))
