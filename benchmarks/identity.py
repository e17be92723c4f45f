"""Who the customers are: how well records of 20,000 people in five systems are put together, and how fast.

First build and a day's change (one record in fifty), each as a step of customer_identities and of customers, in one
process; the session's start is left out. Scored against what is true of the company.
"""

from benchmarks.loads.job import Job
from benchmarks.result import Result
from benchmarks.turns import Side, empty_folder, start

LEAST_PRECISION, LEAST_RECALL = 0.999, 0.99


def measure() -> Result:
    with empty_folder() as folder:
        run = start(Side("platform", "identity"), Job(), folder)
    details = run.details
    for day in ("first", "change"):
        precision, recall = details[day]["precision"], details[day]["recall"]
        print(
            f"  {day}: precision {precision:.5f}, recall {recall:.5f}, {details[day]['seconds']}", flush=True
        )
        if precision < LEAST_PRECISION or recall < LEAST_RECALL:
            raise AssertionError(
                f"{day}: precision {precision:.5f} and recall {recall:.5f}; "
                f"at least {LEAST_PRECISION} and {LEAST_RECALL} were expected"
            )
    first, change = (sum(details[day]["seconds"].values()) for day in ("first", "change"))
    return Result(
        name="identity",
        unit="s",
        ours=change,
        peers={"first build": first},
        ratio=first / change,
        peak_mb=run.peak_mb,
        rows=details["change"]["records"],
        details={
            "precision": min(details[day]["precision"] for day in ("first", "change")),
            "recall": min(details[day]["recall"] for day in ("first", "change")),
            **details,
        },
    )
