"""What a change costs where there is more history: the same change of a company, and of one with five times as much.

The change is one in a hundred of the smaller company's rows, and as many of the larger one's. `ours` is how many times
as long it takes there.
"""

from benchmarks.change_company import first_and_change
from benchmarks.company import SHARE, Size
from benchmarks.result import Result

TIMES = 5


def measure(scale: float = 1.0) -> Result:
    _, change, _ = first_and_change(Size.at(scale / TIMES))
    _, grown, company = first_and_change(Size.at(scale), SHARE / TIMES)
    return Result(
        name="growth",
        unit="times",
        ours=grown.seconds / change.seconds,
        peak_mb=max(change.peak_mb, grown.peak_mb),
        rows=sum(company.rows.values()),
        details={
            "history": TIMES,
            "seconds": {"change": change.seconds, "of five times the history": grown.seconds},
            "seconds_by_step": {
                name: [took, grown.details["seconds_by_step"].get(name)]
                for name, took in change.details["seconds_by_step"].items()
            },
        },
    )
