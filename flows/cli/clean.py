"""``rlkd clean``: shows, and on request removes, what no run refers to."""

from __future__ import annotations

from pathlib import Path

from flows.cli.terminal import print_table


def clean_runs(runs: str, days: float, yes: bool) -> None:
    """Prints what can go from a folder of runs; removes it only where that was asked for.

    Raises:
        UserError: It cannot be known what is in use.
    """
    from tasks.cleaning import leftovers, remove

    folder = Path(runs)
    found = leftovers(folder, days)
    rows = [[f"{item.mb:.1f} MiB", item.why, str(item.path)] for item in found]
    print_table("", ["size", "what", "where"], rows)
    total = f"{len(found)} things, {sum(item.mb for item in found):.1f} MiB"
    if not found:
        print(
            f"nothing to remove in {folder}: runs refer to everything, or it was touched in the last {days:g} days"
        )
    elif yes:
        remove(found)
        print(f"removed: {total}")
    else:
        print(
            f"nothing is removed yet ({total}); to remove it: rlkd clean {folder} --older-than {days:g} --yes"
        )
