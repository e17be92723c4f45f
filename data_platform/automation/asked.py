"""What a sensor remembers of the runs that it asked for, so that a change is asked for once and a failure again.

One run is asked for at a time for a table. Where a run leaves its table where it was, another follows after a pause
that grows.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

import dagster as dg

from data_platform.lake.tables import LakeTable

FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0


@dataclass(frozen=True)
class Due:
    """A table that has to be loaded, or need not be (without a `why`), which `otherwise` says in words. `version` is
    the state that it is in."""

    why: str
    version: str
    makes: tuple[dg.AssetKey, ...]
    otherwise: str = "nothing has changed"


@dataclass(frozen=True)
class _Asked:
    """The run that was asked for last: by its key, at which version, how often at that, and when."""

    key: str
    version: str
    times: int
    at: float

    @property
    def pause(self) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** (self.times - 1)))


def version_of(held: LakeTable) -> str:
    """Which state of which table; one that was made anew has another id."""
    return f"{held.delta.metadata().id}:{held.version}" if held.delta else "none"


def one_run(context: dg.SensorEvaluationContext, tables: Mapping[str, Due]) -> dg.SensorResult:
    """One run for all tables that are due and for which none is on its way."""
    asked = {name: _Asked(**said) for name, said in json.loads(context.cursor or "{}").items()}
    reasons = {name: _not_now(context.instance, asked.get(name), due) for name, due in tables.items()}
    chosen = {name: due for name, due in tables.items() if not reasons[name]}
    if not chosen:
        said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return dg.SensorResult(skip_reason=dg.SkipReason(said), cursor=context.cursor)
    times = {name: _times(asked.get(name), due) for name, due in chosen.items()}
    # A tick that died asks by the same key again; a table that came back to an older state does not.
    last = {name: asked[name].at if name in asked else 0.0 for name in chosen}
    told = [[name, due.version, times[name], last[name]] for name, due in sorted(chosen.items())]
    key = sha256(json.dumps(told).encode()).hexdigest()
    for name, due in chosen.items():
        context.log.info("%s: %s", name, due.why)
        asked[name] = _Asked(key, due.version, times[name] + 1, time.time())
    makes = sorted({asset for due in chosen.values() for asset in due.makes})
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=key, asset_selection=makes)],
        cursor=json.dumps({name: asdict(said) for name, said in asked.items()}),
    )


def _not_now(instance: dg.DagsterInstance, before: _Asked | None, due: Due) -> str:
    """Why no run is asked for; nothing, where one is."""
    if not due.why:
        return due.otherwise
    if before is None:
        return ""
    runs = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/run_key": before.key}))
    if any(not run.is_finished for run in runs):
        return "its run is on its way"
    if before.version == due.version and time.time() - before.at < before.pause:
        return "its last run left it where it was; another follows within the hour"
    return ""


def _times(before: _Asked | None, due: Due) -> int:
    return before.times if before and before.version == due.version else 0
