"""The tables of the store, and how a moment is kept in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Boolean, Column, DateTime, Dialect, Float, Integer, MetaData, String, Table, Text, TypeDecorator

SCHEMA_VERSION: Final = 2


class Moment(TypeDecorator[datetime]):
    """A moment, kept in UTC: SQLite forgets time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("one", Integer, primary_key=True),  # always 1: the table has a single row
    Column("schema_version", Integer, nullable=False),
    Column("cluster", String, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("plan_id", String, nullable=False),
    Column("step", Text, nullable=False),
    Column("action", String, nullable=False),
    Column("vm_id", String),
    Column("vm", String),
    Column("source", String),
    Column("target", String),
    Column("host", String),
    Column("state", String, nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("settled_at", Moment),
    Column("phase", String),  # of a move; since schema 2
    sqlite_autoincrement=True,  # an id is never used again, so that a late report cannot name another entry
)

marks = Table(
    "marks",
    metadata,
    Column("host", String, primary_key=True),
    Column("cordoned_since", Moment),
    Column("cordoned_by", String),
    Column("cordoned_why", Text),
    Column("asleep_since", Moment),
    Column("wake_proven_at", Moment),
    Column("boot_seconds", Float),
    Column("quarantined_since", Moment),
    Column("quarantined_why", Text),
    Column("identity_at", Moment),
    Column("identity_method", String),
    Column("identity_address", String),
    Column("identity_guid", String),
    Column("identity_uuid", String),
)

lease = Table(
    "lease",
    metadata,
    Column("one", Integer, primary_key=True),  # always 1: a store belongs to one cluster
    Column("owner", String, nullable=False),
    Column("token", Integer, nullable=False),
    Column("until", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", String, nullable=False),
    Column("what", Text, nullable=False),
    Column("subject", String, nullable=False),
)

touches = Table(
    "touches",
    metadata,
    Column("subject", String, primary_key=True),
    Column("last_at", Moment, nullable=False),
    Column("failures", Integer, nullable=False),
)

spending = Table(
    "spending",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False, index=True),
    Column("moves", Integer, nullable=False),
    Column("mib", Float, nullable=False),
)

intentions = Table(
    "intentions",
    metadata,
    Column("host", String, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("why", Text, nullable=False),
)

departures = Table(
    "departures",
    metadata,
    Column("subject", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("at", Moment, nullable=False),
)

wishes = Table(
    "wishes",
    metadata,
    Column("what", String, primary_key=True),
    Column("since", Moment, nullable=False),
)

watch = Table(
    "watch",
    metadata,
    Column("one", Integer, primary_key=True),  # always 1: one cluster is watched
    Column("at", Moment, nullable=False),
)

drains = Table(
    "drains",
    metadata,
    Column("host", String, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("empty_since", Moment),
)

accounts = Table(
    "accounts",
    metadata,
    Column("day", String, primary_key=True),
    Column("host", String, primary_key=True),
    Column("tariff", String, primary_key=True),
    Column("kwh", Float, nullable=False),
    Column("kwh_all_on", Float, nullable=False),
    Column("kwh_alone", Float, nullable=False),
    Column("kwh_measured", Float, nullable=False),
    Column("kwh_modelled", Float, nullable=False),
    Column("hours_on", Float, nullable=False),
    Column("hours_asleep", Float, nullable=False),
)

counted = Table(
    "counted",
    metadata,
    Column("one", Integer, primary_key=True),  # always 1: the accounts are kept up to one moment
    Column("at", Moment, nullable=False),
)

late_wakes = Table(
    "late_wakes",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
)

draws = Table(
    "draws",
    metadata,
    Column("host", String, primary_key=True),
    Column("load", Integer, primary_key=True),  # tenths of CPU share
    Column("readings", Integer, nullable=False),
    Column("cpu_share", Float, nullable=False),  # sums, as `watts`
    Column("watts", Float, nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    Column("entry", Integer, primary_key=True),  # of the journal; ids are never used again
    Column("vm_key", String, nullable=False, unique=True),
    Column("vm", String, nullable=False),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False, index=True),
    Column("memory_mib", Float, nullable=False),
    Column("cpu_cores", Float, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False, index=True),
    Column("subject", String, nullable=False),
    Column("target", String),
    Column("prospect", String, nullable=False),
    Column("detail", Text, nullable=False),
)

setbacks = Table(
    "setbacks",
    metadata,
    Column("vm_key", String, primary_key=True),
    Column("target", String, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until", Moment, nullable=False),
    Column("why", Text, nullable=False),
)

shunned = Table(
    "shunned",
    metadata,
    Column("host", String, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("why", Text, nullable=False),
)

halts = Table(
    "halts",
    metadata,
    Column("kind", String, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
)

give_ups = Table(
    "give_ups",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
)

sightings = Table(
    "sightings",
    metadata,
    Column("vm_key", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("at", Moment, nullable=False),
)

strays = Table(
    "strays",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False, index=True),
    Column("vm_key", String, nullable=False),
    Column("vm", String, nullable=False),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
)

past_migrations = Table(
    "past_migrations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("vm_key", String, nullable=False),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("predicted_seconds", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("predicted_mib", Float, nullable=False),
    Column("mib", Float, nullable=False),
    Column("modelled_mib", Float, nullable=False),
    Column("link_mib_per_s", Float, nullable=False),
    Column("cap_mib_per_s", Float),
    Column("downtime_ms", Float),
)

boots = Table(
    "boots",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("host", String, nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("seconds", Float, nullable=False),
)

equipment = Table(
    "equipment",
    metadata,
    Column("host", String, primary_key=True),
    Column("pools", Text, nullable=False),
    Column("networks", Text, nullable=False),
)

power_tests = Table(
    "power_tests",
    metadata,
    Column("host", String, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("result", String, nullable=False),
    Column("words", Text, nullable=False),
)

proposals = Table(
    "proposals",
    metadata,
    Column("plan_id", String, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("valid_until", Moment, nullable=False),
    Column("plan", Text, nullable=False),
    Column("likeness", String, nullable=False),  # the same for plans that do the same
    Column("state", String, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("decided_at", Moment),
    Column("until", Moment),
    Column("steps", Text, nullable=False),  # ids of those that were approved, one a line; empty: all
    Column("outcome", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("made_by", String, nullable=False),
    Column("until", Moment),
    Column("used_at", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),
    Column("token", String, nullable=False, index=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
)

cycles = Table(
    "cycles",
    metadata,
    Column("plan_id", String, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("sentence", Text, nullable=False),
    Column("mode", String, nullable=False),
    Column("moves", Integer, nullable=False),
    Column("hosts_on", Integer, nullable=False),
    Column("watts", Float, nullable=False),
    Column("imbalance", Float, nullable=False),
    Column("gap", Float),
    Column("doubts", Integer, nullable=False),
)

told = Table(
    "told",
    metadata,
    Column("kind", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("severity", String, nullable=False),
    Column("likeness", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("told_at", Moment),
    Column("over_since", Moment),
    Column("ends", Boolean, nullable=False),
)

letters = Table(
    "letters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("target", String, nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("taken_until", Moment),
)
