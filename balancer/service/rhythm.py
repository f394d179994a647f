"""How often the service looks, glances and listens, and what it does earlier than its turn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from balancer.virtual_time import SECONDS_BETWEEN_EARLY_CYCLES

CYCLE, WATCH = "cycle", "watch"
JOBS_AT_ONCE = 10  # APScheduler's own default, more than the jobs there are
Job = Callable[[], object]


class Rhythm:
    """Jobs, each done again after so many seconds, one at a time; a late one is done once, not made up for.

    may_hurry: whether anything may still begin before its turn; not once the service was told to stop
    """

    def __init__(self, may_hurry: Callable[[], bool] = lambda: True) -> None:
        self._may_hurry = may_hurry
        self._scheduler: BackgroundScheduler | None = None
        self._workers = ThreadPoolExecutor(JOBS_AT_ONCE, thread_name_prefix="rhythm")
        self._last_early: datetime | None = None

    def begin(self, cycle: Job, seconds: float) -> None:
        """Do cycles from now on, the first one at once."""
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": _Workers(self._workers)})
        now = datetime.now().astimezone()
        self._scheduler.add_job(cycle, "interval", id=CYCLE, next_run_time=now, **_every(seconds))
        self._scheduler.start()

    def also(self, job: Job, seconds: float) -> None:
        """Do another job beside the cycles, however late it comes."""
        assert self._scheduler is not None
        self._scheduler.add_job(job, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None)

    def keep_the_pace(self, cycle_seconds: float, glance: Job, watch_seconds: float) -> None:
        """Look this often from now on, and glance between two looks this often, or with 0 not at all."""
        if self._scheduler is None:
            return
        self._pace(CYCLE, cycle_seconds)
        self.watch(glance, watch_seconds)

    def watch(self, glance: Job, seconds: float) -> None:
        """Glance every so many seconds between cycles, or with 0 not at all."""
        assert self._scheduler is not None
        is_there = self.has(WATCH)
        if seconds and is_there:
            self._pace(WATCH, seconds)
        elif seconds:
            self._scheduler.add_job(glance, "interval", id=WATCH, replace_existing=True, **_every(seconds))
        elif is_there:
            with suppress(JobLookupError):  # gone meanwhile: the service is being stopped
                self._scheduler.remove_job(WATCH)

    def has(self, name: str) -> bool:
        """Whether a job is done at all."""
        return self._scheduler is not None and self._scheduler.get_job(name) is not None

    def _pace(self, name: str, seconds: float) -> None:
        job = self._scheduler.get_job(name)  # type: ignore[union-attr]
        if job is not None and job.trigger.interval != timedelta(seconds=seconds):
            with suppress(JobLookupError):  # gone meanwhile: the service is being stopped
                job.modify(misfire_grace_time=_grace(seconds))
                job.reschedule("interval", seconds=seconds)

    def begin_in(self, seconds: float, name: str) -> None:
        """Have a job begin earlier than it would."""
        known = self._scheduler.get_job(name) if self._scheduler is not None and self._may_hurry() else None
        if known is not None:
            with suppress(JobLookupError):  # gone meanwhile: the service is being stopped
                known.modify(next_run_time=datetime.now().astimezone() + timedelta(seconds=seconds))

    def begin_at_once(self, now: datetime) -> None:
        """Have everything begin at once, unless it did so a moment ago by the site's clock."""
        early = self._last_early is None or (now - self._last_early).total_seconds() >= SECONDS_BETWEEN_EARLY_CYCLES
        if early and self._scheduler is not None and self._scheduler.running and self._may_hurry():
            self._last_early = now
            for job in self._scheduler.get_jobs():
                with suppress(JobLookupError):  # likewise
                    job.modify(next_run_time=datetime.now().astimezone())

    def end(self) -> None:
        """Begin nothing any more, and wait for what is being done.

        Told to wait, APScheduler holds the lock of its jobs meanwhile; a cycle that asks it anything before its own end
        would then wait for ever for the one that waits for it. So the waiting is done here, with no lock held.
        """
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        self._workers.shutdown(wait=True)


class _Workers(BasePoolExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Jobs in threads of our own, whose end we wait for ourselves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)


def _every(seconds: float) -> dict[str, object]:
    return {"seconds": seconds, "coalesce": True, "max_instances": 1, "misfire_grace_time": _grace(seconds)}


def _grace(seconds: float) -> int:
    return max(1, int(seconds / 2))
