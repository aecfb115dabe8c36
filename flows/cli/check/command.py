"""The command `rlkd check`: prints what a run of a configuration would find."""

from __future__ import annotations

from flows.cli.terminal import print_table
from flows.configure import configure_any
from rlkd.errors import UserError
from schemas.config.gsrm import GsrmConfig


def check_configuration(preset: str, overrides: list[str], output: str | None, offline: bool = False) -> None:
    """Prints what a run of a configuration would find; ``offline`` looks only at what is on this machine.

    Raises:
        UserError: Something must be mended; the message says what.
    """
    import logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of every retry
    config = configure_any(preset, overrides)
    if isinstance(config, GsrmConfig):
        from flows.cli.check.gsrm import examine_gsrm

        found = examine_gsrm(config, output, offline)
    else:
        from flows.cli.check.distill import examine

        found = examine(config, output, offline)
    print_table(
        "", ["check", "", "found"], [[what, verdict, details] for what, verdict, details in found.rows]
    )
    if len(found.wrong) == 1:
        raise UserError(found.wrong[0])
    if found.wrong:
        raise UserError(f"{len(found.wrong)} things must be mended first: " + "; ".join(found.wrong))
