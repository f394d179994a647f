"""Tell people what they should know, once, and keep an Alertmanager silent about hosts that sleep.

matters   what is worth telling            values in, values out
ledger    what of it is new                no repeats
whom      who is told, when, in which words
silences  what an Alertmanager should keep silent about
The rim: targets (Apprise), alertmanager (HTTP), delivering (a thread for each target), notifier (reads what the service
publishes). Nothing of a cycle waits for any of it.
"""

from __future__ import annotations

from balancer.notifying.notifier import told_to_people

__all__ = ["told_to_people"]
