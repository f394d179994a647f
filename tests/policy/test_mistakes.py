"""What real people write wrong, and the exact answer that each of them gets: file, line, what, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from balancer.errors import PolicyError
from balancer.policy import load_policy
from tests.policy.texts import HEAD, faults, write

# ruff: noqa: E501
LAYERS = "\n".join(f"x-{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]" for n in range(12))
BOMB = f"x-0: &l0 [a, a]\n{LAYERS}"

MISTAKES: dict[str, tuple[str, list[str]]] = {
    "one blank too many": (
        HEAD + "headroom:\n  cpu: 0.9\n   memory: 0.9\n",
        [
            "p.yaml:4: a colon stands where none may; indent this line like the one above, or put a value that has a colon in quotes",
        ],
    ),
    "not indented": (
        HEAD + "headroom:\ncpu: 0.9\n",
        [
            "p.yaml:2: `headroom` is empty; write what belongs there, indented below it, or leave the key out",
            "p.yaml:3: unknown key `cpu`; it belongs under `headroom`",
        ],
    ),
    "an entry one column too far": (
        HEAD + "constraints:\n  - {kind: stay, vms: [a]}\n   - {kind: stay, vms: [b]}",
        [
            "p.yaml:4: this line is indented otherwise than the one that it belongs to; entries of one list, and keys of one block, begin in the same column",
        ],
    ),
    "a pattern without quotes": (
        HEAD + "constraints:\n  - {kind: stay, vms: [*db]}",
        ['p.yaml:3: `*db` is read as a reference to another value; a pattern stands in quotes: "*db"'],
    ),
    "half indented": (
        HEAD + "objectives:\n  even_load:\n  weight: 1\n",
        [
            "p.yaml:3: `objectives.even_load` is empty; write what belongs there, indented below it, or leave the key out",
            "p.yaml:4: unknown key `weight` in objectives; it belongs under `even_load` or `least_power`",
        ],
    ),
    "a number in quotes": (
        HEAD + 'headroom: {cpu: "0.9"}\n',
        [
            "p.yaml:2: `headroom.cpu` is '0.9', not a number; write 0.9 without quotes",
        ],
    ),
    "a kind of another product": (
        HEAD + "constraints:\n  - kind: anti-affinity\n    vms: [a]\n",
        [
            "p.yaml:3: unknown kind `anti-affinity` in constraints[1]; did you mean `apart`?",
        ],
    ),
    "yes for true": (
        HEAD + "power: {hard_off: yes}\n",
        [
            "p.yaml:2: `power.hard_off` is 'yes'; write true",
        ],
    ),
    "true in quotes": (
        HEAD + 'power: {hard_off: "true"}\n',
        [
            "p.yaml:2: `power.hard_off` is 'true'; write true",
        ],
    ),
    "1 for true": (
        HEAD + "power: {hard_off: 1}\n",
        [
            "p.yaml:2: `power.hard_off` is 1; write true",
        ],
    ),
    "per cent": (
        HEAD + "headroom: {cpu: 90%}\n",
        [
            "p.yaml:2: `headroom.cpu` is '90%', not a number; write 0.9",
        ],
    ),
    "per cent in quotes": (
        HEAD + "headroom: {cpu: '90 %'}\n",
        [
            "p.yaml:2: `headroom.cpu` is '90 %', not a number; write 0.9",
        ],
    ),
    "a tab": (
        HEAD + "headroom:\n\tcpu: 0.9\n",
        [
            "p.yaml:3: a tab stands where YAML wants spaces; indent with spaces",
        ],
    ),
    "a key twice": (
        HEAD + "mode: act\nmode: confirm\n",
        [
            'p.yaml:3: the key "mode" stands twice; keep one of them',
        ],
    ),
    "a key in the wrong section": (
        HEAD + "budget:\n  minimum_gain: 0.1\n",
        [
            "p.yaml:3: unknown key `minimum_gain` in budget; it belongs under `stability`",
        ],
    ),
    "a key one level too high": (
        HEAD + "cpu: 0.9\n",
        [
            "p.yaml:2: unknown key `cpu`; it belongs under `headroom`",
        ],
    ),
    "a wish outside of objectives": (
        HEAD + "even_load: {weight: 1}\n",
        [
            "p.yaml:2: unknown key `even_load`; it belongs under `objectives`",
        ],
    ),
    "vm for vms": (
        HEAD + "constraints:\n  - {kind: stay, vm: [a]}\n",
        [
            "p.yaml:3: unknown key `vm` in constraints[1]; did you mean `vms`?",
        ],
    ),
    "one name for a list": (
        HEAD + "constraints:\n  - {kind: stay, vms: db1}\n",
        [
            "p.yaml:3: `constraints[1].vms` is 'db1', not a list; write [db1]",
        ],
    ),
    "a list in quotes": (
        HEAD + "constraints:\n  - {kind: stay, vms: 'db1, db2'}\n",
        [
            "p.yaml:3: `constraints[1].vms` is 'db1, db2', not a list; write [db1, db2]",
        ],
    ),
    "no colon": (
        HEAD + "mode act\n",
        [
            "p.yaml:2: `mode act` has no colon; write `key: value`, with a space after the colon",
        ],
    ),
    "no colon after a section": (
        HEAD + "headroom\n  cpu: 0.9\n",
        [
            "p.yaml:2: `headroom` has no colon; write `key: value`, with a space after the colon",
        ],
    ),
    "minutes with a unit": (
        HEAD + "demand: {window_minutes: 30min}\n",
        [
            "p.yaml:2: `demand.window_minutes` is '30min', not a number; write 30, the key is in minutes",
        ],
    ),
    "minutes for seconds": (
        HEAD + "interval_seconds: 5m\n",
        [
            "p.yaml:2: `interval_seconds` is '5m', not a number; write 300, the key is in seconds",
        ],
    ),
    "GiB with a unit": (
        HEAD + "budget: {gib: 500GiB}\n",
        [
            "p.yaml:2: `budget.gib` is '500GiB', not a number; write 500, the key is in GiB",
        ],
    ),
    "a negative count": (
        HEAD + "budget: {moves: -1}\n",
        [
            "p.yaml:2: `budget.moves` is -1; it must be at least 0",
        ],
    ),
    "a share in per cent": (
        HEAD + "headroom: {cpu: 90}\n",
        [
            "p.yaml:2: `headroom.cpu` is 90, and a share is from 0 to 1; did you mean 0.9?",
        ],
    ),
    "a share beyond all": (
        HEAD + "headroom: {cpu: 150}\n",
        [
            "p.yaml:2: `headroom.cpu` is 150; it must be at most 1",
        ],
    ),
    "a share a little beyond": (
        HEAD + "max_doubts: 1.5\n",
        [
            "p.yaml:2: `max_doubts` is 1.5; it must be at most 1",
        ],
    ),
    "a negative share": (
        HEAD + "headroom: {cpu: -0.5}\n",
        [
            "p.yaml:2: `headroom.cpu` is -0.5; it must be at least 0",
        ],
    ),
    "half a guest": (
        HEAD + "budget: {moves: 2.5}\n",
        [
            "p.yaml:2: `budget.moves` is 2.5, not a whole number; write 2 or 3",
        ],
    ),
    "an interval of nothing": (
        HEAD + "interval_seconds: 0\n",
        [
            "p.yaml:2: `interval_seconds` is 0; it must be at least 1",
        ],
    ),
    "a later version": (
        "schema: balancer.policy/2\n",
        [
            "p.yaml:1: is written for version 2 of balancer.policy, this program knows version 1; use the program that wrote it, or a later one",
        ],
    ),
    "no schema": (
        "mode: act\n",
        [
            "p.yaml:1: does not say which schema it follows; write `schema: balancer.policy/1` first",
        ],
    ),
    "a schema without version": (
        "schema: policy\nmode: act\n",
        [
            "p.yaml:1: has the schema 'policy'; write `schema: balancer.policy/1` first",
        ],
    ),
    "a number for the schema": (
        "schema: 1\nmode: act\n",
        [
            "p.yaml:1: has the schema 1; write `schema: balancer.policy/1` first",
        ],
    ),
    "a snapshot for a policy": (
        "schema: balancer.snapshot/1\ntaken_at: 2026-01-01T00:00:00Z\n",
        [
            "p.yaml:1: is a snapshot (balancer.snapshot/1), and a policy is wanted; is it the right file?",
        ],
    ),
    "an empty file": (
        "",
        [
            "p.yaml: is empty; begin with `schema: balancer.policy/1`",
        ],
    ),
    "comments alone": (
        "# nothing\n",
        [
            "p.yaml: is empty; begin with `schema: balancer.policy/1`",
        ],
    ),
    "a list": (
        "- a\n",
        [
            "p.yaml: is a list, not a block of keys; begin with `schema: balancer.policy/1`",
        ],
    ),
    "a word": (
        "hello\n",
        [
            "p.yaml: is the single value 'hello', not a block of keys; begin with `schema: balancer.policy/1`",
        ],
    ),
    "two documents": (
        "schema: balancer.policy/1\n---\nschema: balancer.policy/1\n",
        [
            "p.yaml:2: a second document begins; take `---` out; one file is one document",
        ],
    ),
    "a date the other way round": (
        HEAD + "holidays: [24.12.2026]\n",
        [
            "p.yaml:2: `holidays[1]` is '24.12.2026', not a date; write 2026-12-24, or 12-24 for each year",
        ],
    ),
    "a month that is none": (
        HEAD + "holidays: [2026-13-01]\n",
        [
            "p.yaml:2: 2026-13-01 is no day of the calendar; write 2026-12-24",
        ],
    ),
    "a date with a time": (
        HEAD + "holidays: [2026-12-24 10:00:00]\n",
        [
            "p.yaml:2: `holidays[1]` is '2026-12-24T10:00:00', not a date; write 2026-12-24, or 12-24 for each year",
        ],
    ),
    "one date for a list": (
        HEAD + "holidays: 2026-12-24\n",
        [
            "p.yaml:2: `holidays` is 2026-12-24, not a list; write [2026-12-24]",
        ],
    ),
    "on for a key": (
        HEAD + "on: act\n",
        [
            "p.yaml:2: unknown key `on`; docs/policy.md lists the keys",
        ],
    ),
    "off for a mode": (
        HEAD + "mode: off\n",
        [
            "p.yaml:2: `mode` is 'off'; write one of: recommend, confirm, act",
        ],
    ),
    "true for a label": (
        HEAD + "constraints: [{kind: stay, match: {pinned: true}}]\n",
        [
            'p.yaml:2: `constraints[1].match.pinned` is true, not a text; write "true" in quotes',
        ],
    ),
    "a number for a label": (
        HEAD + "constraints: [{kind: stay, match: {rack: 3}}]\n",
        [
            'p.yaml:2: `constraints[1].match.rack` is 3, not a text; write "3" in quotes',
        ],
    ),
    "a misspelt window": (
        HEAD + "windows: {night: {from: 22:00}}\nconstraints: [{kind: stay, vms: [a], when: nite}]\n",
        [
            "p.yaml:3: `constraints[1].when` names no window that is there; did you mean `night`?",
        ],
    ),
    "a window that is nowhere": (
        HEAD + "schedule: [{during: night, set: {mode: act}}]\n",
        [
            "p.yaml:2: `schedule[1].during` names no window that is there; write `windows: {night: {from: ..., to: ...}}`",
        ],
    ),
    "not an unknown window": (
        HEAD + "windows: {night: {from: 22:00}}\nconstraints: [{kind: stay, vms: [a], when: {not: day}}]\n",
        [
            "p.yaml:3: `constraints[1].when.not` names no window that is there; windows here: night",
        ],
    ),
    "a list of windows": (
        HEAD + "windows: {night: {from: 22:00}}\nconstraints: [{kind: stay, vms: [a], when: [night]}]\n",
        [
            "p.yaml:3: `constraints[1].when` is not the name of a window; write `when: night` or `when: {not: night}`",
        ],
    ),
    "a city for a time zone": (
        HEAD + "time_zone: Rome\n",
        [
            "p.yaml:2: `time_zone` is 'Rome', not a time zone; did you mean `Europe/Rome`?",
        ],
    ),
    "an abbreviation for a time zone": (
        HEAD + "time_zone: CEST\n",
        [
            "p.yaml:2: `time_zone` is 'CEST', not a time zone; write an IANA name such as Europe/Rome",
        ],
    ),
    "hours as numbers": (
        HEAD + "windows: {night: {from: 22, to: 6}}\n",
        [
            "p.yaml:2: `windows.night.from` is '22', not a time of day; write 22:00",
            "p.yaml:2: `windows.night.to` is '6', not a time of day; write 06:00",
        ],
    ),
    "hours in English": (
        HEAD + "windows: {night: {from: 10pm}}\n",
        [
            "p.yaml:2: `windows.night.from` is '10pm', not a time of day; write 22:00",
        ],
    ),
    "hours with a point": (
        HEAD + "windows: {night: {from: 22.00}}\n",
        [
            "p.yaml:2: `windows.night.from` is '22', not a time of day; write 22:00",
        ],
    ),
    "days without brackets": (
        HEAD + "windows: {night: {days: mon-fri}}\n",
        [
            "p.yaml:2: `windows.night.days` is 'mon-fri', not a list; write [mon-fri]",
        ],
    ),
    "a day in full": (
        HEAD + "windows: {night: {days: [Monday]}}\n",
        [
            "p.yaml:2: `windows.night.days[1]` is 'Monday', not a day; did you mean `mon`?",
        ],
    ),
    "cron with seconds": (
        HEAD + "windows: {night: {cron: 0 0 1 * * *, minutes: 3}}\n",
        [
            "p.yaml:2: `windows.night.cron` is '0 0 1 * * *', 6 fields and not five; write e.g. 30 2 * * sun",
        ],
    ),
    "cron without quotes": (
        HEAD + "windows: {night: {cron: * 2 * * *, minutes: 3}}\n",
        [
            "p.yaml:2: a value cannot begin with `*`; put it in quotes",
        ],
    ),
    "windows as a list": (
        HEAD + "windows:\n  - {name: night, from: 22:00}\n",
        [
            "p.yaml:2: `windows` is a list, not a block of keys; write `NAME:` and its keys below, without dashes",
        ],
    ),
    "a schedule without dash": (
        HEAD + "windows: {n: {from: 22:00}}\nschedule: {during: n, set: {mode: act}}\n",
        [
            "p.yaml:3: `schedule` is a block of keys, not a list; begin each entry with a dash: `- ...`",
        ],
    ),
    "a schedule without set": (
        HEAD + "windows: {n: {from: 22:00}}\nschedule: [{during: n, mode: act}]\n",
        [
            "p.yaml:3: `schedule[1].set` is missing",
            "p.yaml:3: unknown key `mode` in schedule[1]; it belongs under `set`",
        ],
    ),
    "a name in a schedule": (
        HEAD + "windows: {n: {from: 22:00}}\nschedule: [{during: n, set: {name: x}}]\n",
        [
            "p.yaml:3: unknown key `name` in schedule[1].set; docs/policy.md lists the keys",
        ],
    ),
    "a loop of one": (
        HEAD + "extends: p.yaml\n",
        [
            "p.yaml:2: `extends` goes in a circle: p.yaml -> p.yaml; take one of them out",
        ],
    ),
    "a base that is not there": (
        HEAD + "extends: base.yaml\n",
        [
            "p.yaml:2: `extends` names base.yaml, and there is no such file; the path is relative to this file",
        ],
    ),
    "a misspelt ready policy": (
        HEAD + "extends: balancd\n",
        [
            "p.yaml:2: `extends` names 'balancd', which is no ready policy; did you mean `balanced`?",
        ],
    ),
    "a base without its ending": (
        HEAD + "extends: base\n",
        [
            "p.yaml:2: `extends` names 'base', which is no ready policy; ready are balanced, contention-only, lab, licence-bound, maintenance, night-saver, power-saver, two-rooms; a file is named with its .yaml",
        ],
    ),
    "two bases": (
        HEAD + "extends: [a.yaml]\n",
        [
            "p.yaml:2: `extends` is a list, not a text; write one value",
        ],
    ),
    "an anchor that is nowhere": (
        HEAD + "headroom: *common\n",
        [
            "p.yaml:2: `*common` stands for nothing; write `&common` before the value that it is to repeat",
        ],
    ),
    "a fault that was merged in": (
        HEAD + "x-a: &a {cpu: 50}\nheadroom: {<<: *a, memory: 0.5}\n",
        [
            "p.yaml:2: `headroom.cpu` is 50, and a share is from 0 to 1; did you mean 0.5?",
        ],
    ),
    "a bomb": (
        HEAD + BOMB,
        [
            "p.yaml: its aliases unfold to more than anybody wrote; write the values out",
        ],
    ),
    "five thousand brackets": (
        HEAD + "x-deep: " + "[" * 5000 + "]" * 5000,
        [
            "p.yaml: is nested too deeply",
        ],
    ),
    "four hundred brackets": (
        HEAD + "x-deep: " + "[" * 400 + "]" * 400,
        [
            "p.yaml: is nested too deeply; nobody needs more than 60 levels",
        ],
    ),
    "a block in itself": (
        HEAD + "headroom: &a {x-y: *a}\n",
        [
            "p.yaml: a block contains itself through an alias; write the values out",
        ],
    ),
    "a bracket left open": (
        HEAD + "budget: {moves: 3\n",
        [
            "p.yaml:2: a bracket that opens here is not closed; look for the missing `}` or `]`, or a missing comma",
        ],
    ),
    "a quote left open": (
        HEAD + "name: 'abc\nmode: act\n",
        [
            "p.yaml:2: a quote that opens here is not closed; close it on the same line",
        ],
    ),
    "a colon in a value": (
        HEAD + "name: prod: eu\n",
        [
            "p.yaml:2: a colon stands where none may; indent this line like the one above, or put a value that has a colon in quotes",
        ],
    ),
    "no space after the colon": (
        HEAD + "mode:act\n",
        [
            "p.yaml:2: `mode:act` has no colon; write `key: value`, with a space after the colon",
        ],
    ),
    "no space after the colon in brackets": (
        HEAD + "headroom: {cpu:0.9}\n",
        [
            "p.yaml:2: unknown key `cpu:0.9` in headroom; write a space after the colon: `cpu: 0.9`",
        ],
    ),
    "no space after the dash": (
        HEAD + "constraints:\n  -{kind: stay, vms: [a]}\n",
        [
            "p.yaml:3: no space follows the dash; write `- ` before an entry of a list",
        ],
    ),
    "constraints by kind": (
        HEAD + "constraints:\n  stay: [a]\n",
        [
            "p.yaml:2: `constraints` is a block of keys, not a list; begin each entry with a dash: `- ...`",
        ],
    ),
    "a constraint without dash": (
        HEAD + "constraints:\n  kind: stay\n  vms: [a]\n",
        [
            "p.yaml:2: `constraints` is a block of keys, not a list; begin each entry with a dash: `- ...`",
        ],
    ),
    "a kind alone": (
        HEAD + "constraints: [stay]\n",
        [
            "p.yaml:2: `constraints[1]` is 'stay', not a block of keys; write {kind: ..., vms: [...]}",
        ],
    ),
    "no kind": (
        HEAD + "constraints: [{vms: [a]}]\n",
        [
            "p.yaml:2: `constraints[1]` does not say its `kind`; write `kind: apart`, or another; `balancer explain` lists them",
        ],
    ),
    "two ways of naming guests": (
        HEAD + "constraints: [{kind: stay, vms: [a], match: {a: b}}]\n",
        [
            "p.yaml:2: `constraints[1]` names its guests by `vms` and by `match`; keep one of them",
        ],
    ),
    "no way of naming guests": (
        HEAD + "constraints: [{kind: stay}]\n",
        [
            "p.yaml:2: `constraints[1]` names no guests; write `vms: [...]` or `match: {...}`",
        ],
    ),
    "a label as a text": (
        HEAD + "constraints: [{kind: stay, match: app=shop}]\n",
        [
            "p.yaml:2: `constraints[1].match` is 'app=shop', not a block of keys; write {app: shop}",
        ],
    ),
    "a dial turned too far": (
        HEAD + "aggressiveness: 7\n",
        [
            "p.yaml:2: `aggressiveness` is 7; it must be at most 5",
        ],
    ),
    "a word for the dial": (
        HEAD + "aggressiveness: high\n",
        [
            "p.yaml:2: `aggressiveness` is 'high', not a number",
        ],
    ),
    "true for a freeze": (
        HEAD + "freeze: true\n",
        [
            "p.yaml:2: `freeze` is true; write one of: none, moves, power, all",
        ],
    ),
    "a section left empty": (
        HEAD + "headroom:\n",
        [
            "p.yaml:2: `headroom` is empty; write what belongs there, indented below it, or leave the key out",
        ],
    ),
    "null": (
        HEAD + "mode: null\n",
        [
            "p.yaml:2: `mode` is empty; write what belongs there, indented below it, or leave the key out",
        ],
    ),
    "no number": (
        HEAD + "headroom: {cpu: .nan}\n",
        [
            "p.yaml:2: `headroom.cpu` is nan, which is no amount; leave the key out where the value is not known",
        ],
    ),
    "no end": (
        HEAD + "budget: {gib: .inf}\n",
        [
            "p.yaml:2: `budget.gib` is inf, which is no amount; leave the key out where the value is not known",
        ],
    ),
    "a decimal comma in brackets": (
        HEAD + "headroom: {cpu: 0,9}\n",
        [
            "p.yaml:2: unknown key `9` in headroom; write numbers with a point, such as 0.9",
        ],
    ),
    "a decimal comma": (
        HEAD + "headroom:\n  cpu: 0,9\n",
        [
            "p.yaml:3: `headroom.cpu` is '0,9', not a number; write 0.9",
        ],
    ),
    "an empty name": (
        HEAD + "name: ''\n",
        [
            "p.yaml:2: `name` is empty; write a name, or leave the key out",
        ],
    ),
    "one removal for a list": (
        HEAD + "remove: x\n",
        [
            "p.yaml:2: `remove` is 'x', not a list; write [x]",
        ],
    ),
    "a misspelt key of a cluster": (
        HEAD + "clusters: {lab: {hedroom: {cpu: 0.9}}}\n",
        [
            "p.yaml:2: unknown key `hedroom` in clusters.lab; did you mean `headroom`?",
        ],
    ),
    "a Python tag": (
        HEAD + "name: !!python/object:os.system x\n",
        [
            "p.yaml:2: the tag `!!python/object:os.system` is not known; write the value itself",
        ],
    ),
    "a tag of another product": (
        HEAD + "name: !secret x\n",
        [
            "p.yaml:2: the tag `!secret` is not known; write the value itself",
        ],
    ),
    "a template": (
        HEAD + "headroom: {{ headroom }}\n",
        [
            "p.yaml:2: `{{` opens a block within a block; was a template not filled in?",
        ],
    ),
    "Markdown around it": (
        "```yaml\nschema: balancer.policy/1\n",
        [
            "p.yaml:1: a line of Markdown stands here; take the lines with ``` out",
        ],
    ),
    "a value that begins with @": (
        HEAD + "name: @prod\n",
        [
            "p.yaml:2: a value cannot begin with `@`; put it in quotes",
        ],
    ),
    "a comma missing in JSON": (
        '{"schema": "balancer.policy/1" "mode": "act"}',
        [
            "p.yaml:1: is not valid JSON: expecting ',' delimiter; look at the commas and quotes around this line",
        ],
    ),
    "a capital letter": (
        HEAD + "Mode: act\n",
        [
            "p.yaml:2: unknown key `Mode`; did you mean `mode`?",
        ],
    ),
    "a mode in capitals": (
        HEAD + "mode: ACT\n",
        [
            "p.yaml:2: `mode` is 'ACT'; did you mean `act`?",
        ],
    ),
    "a dash for an underscore": (
        HEAD + "max-doubts: 0.1\n",
        [
            "p.yaml:2: unknown key `max-doubts`; did you mean `max_doubts`?",
        ],
    ),
    "when on headroom": (
        HEAD + "headroom: {cpu: 0.9, when: night}\n",
        [
            "p.yaml:2: `headroom.when` cannot be used for headroom; write `schedule: [{during: ..., set: {headroom: ...}}]`",
        ],
    ),
    "a number for a key": (
        HEAD + "3: x\n",
        [
            "p.yaml:2: unknown key `3`; docs/policy.md lists the keys",
        ],
    ),
    "a number for a window's name": (
        HEAD + "windows: {3: {from: 22:00}}\n",
        [
            'p.yaml:2: `windows` has the key 3, not a text; write "3" in quotes',
        ],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_its_answer(tmp_path: Path, mistake: str) -> None:
    text, answers = MISTAKES[mistake]
    path = tmp_path / "p.yaml"
    path.write_text(text)
    assert faults(path) == answers


BYTES: dict[str, tuple[bytes, list[str]]] = {
    "Latin-1": (HEAD.encode() + b"name: caf\xe9\n", ["p.yaml: is not UTF-8 text (byte 35); save it as UTF-8"]),
    "UTF-16": (HEAD.encode("utf-16"), ["p.yaml: is not UTF-8 text (byte 0); save it as UTF-8"]),
    "a gzip": (b"\x1f\x8b\x08", ["p.yaml: is not UTF-8 text (byte 1); save it as UTF-8"]),
    "nulls": (b"\x00\x01", ["p.yaml: has characters that no text has; is it the right file?"]),
    "10 MB": (b"#" * 10 * 2**20, ["p.yaml: is larger than 1 MiB; is it the right file?"]),
    "a fault on lines that end as on Windows": (
        HEAD.replace("\n", "\r\n").encode() + b"seed: 1\r\nmode: akt\r\n",
        ["p.yaml:3: `mode` is 'akt'; did you mean `act`?"],
    ),
}


@pytest.mark.parametrize("mistake", BYTES)
def test_bytes_that_are_no_policy_get_their_answer(tmp_path: Path, mistake: str) -> None:
    raw, answers = BYTES[mistake]
    path = tmp_path / "p.yaml"
    path.write_bytes(raw)
    assert faults(path) == answers


def test_a_folder_and_a_file_that_is_not_there_get_their_answer(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: Is a directory"):
        load_policy(tmp_path)
    assert faults(tmp_path / "none.yaml") == ["none.yaml: there is no such file"]


GOOD = {
    "a byte order mark": b"\xef\xbb\xbf" + HEAD.encode() + b"mode: act\n",
    "lines that end as on Windows": HEAD.replace("\n", "\r\n").encode() + b"mode: act\r\n",
    "dates without quotes": HEAD.encode() + b"holidays: [2026-12-24, 01-01]\nmode: act\n",
    "times without quotes": HEAD.encode() + b"windows: {night: {from: 22:00, to: 6:00}}\nmode: act\n",
    "no, off and on as labels": HEAD.encode()
    + b"constraints: [{kind: stay, match: {country: no, alarm: off, on: yes}}]\nmode: act\n",
    "a merge key": HEAD.encode() + b"x-a: &a {cpu: 0.5}\nheadroom: {<<: *a, memory: 0.5}\nmode: act\n",
    "JSON": b'{"schema": "balancer.policy/1", "mode": "act"}',
    "JSON with a comma too many": b'{"schema": "balancer.policy/1", "mode": "act",}',
}


@pytest.mark.parametrize("form", GOOD)
def test_what_is_only_unusual_works(tmp_path: Path, form: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(GOOD[form])
    assert load_policy(path).mode == "act"


def test_all_faults_of_a_file_and_its_base_are_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="seed: x\nconstraints:\n  - {kind: stay, vms: [a], when: night}",
        leaf="extends: base.yaml\nmode: akt\nheadrom: {}\nbudget: {moves: -1}\nclusters: {lab: {seed: y}}",
    )
    assert faults(path) == [
        "base.yaml:2: `seed` is 'x', not a number",
        "base.yaml:4: `constraints[1].when` names no window that is there; write `windows: {night: {from: ..., to: ...}}`",
        "leaf.yaml:3: `mode` is 'akt'; did you mean `act`?",
        "leaf.yaml:4: unknown key `headrom`; did you mean `headroom`?",
        "leaf.yaml:5: `budget.moves` is -1; it must be at least 0",
        "leaf.yaml:6: `clusters.lab.seed` is 'y', not a number",
    ]
