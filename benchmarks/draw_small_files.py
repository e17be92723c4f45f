"""Draws what `small_files` saw over its run: JSON on standard input, the picture's file as the argument."""

import json
import sys
from collections.abc import Mapping, Sequence

from matplotlib import use
from matplotlib.figure import Figure

# Each with what it is divided by, to be read in a larger unit.
DRAWN = {
    "files": ("live files", 1),
    "log_bytes": ("log, MB", 1e6),
    "metadata_bytes_to_open": ("read to open the table, kB", 1e3),
    "planning_ms": ("time to open it, ms", 1),
    "query_ms": ("time to answer a question, ms", 1),
    "milliseconds_a_commit": ("a commit, ms", 1),
}
SIDES = {"as_landed": ("as they landed", "#b4553c"), "compacted": ("put together in line", "#2b6a8f")}


def picture(looks: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    for axes, (what, (title, unit)) in zip(figure.subplots(2, 3).flat, DRAWN.items(), strict=True):
        for side, (name, colour) in SIDES.items():
            axes.plot(
                [look["commits"] for look in looks[side]],
                [look[what] / unit for look in looks[side]],
                color=colour, label=name, marker="o", markersize=3,
            )  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.supxlabel("commits of 500 rows", fontsize=10)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2, frameon=False)
    return figure


if __name__ == "__main__":
    use("agg")
    picture(json.load(sys.stdin)).savefig(sys.argv[1], dpi=110)
