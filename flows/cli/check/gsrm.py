"""``rlkd check`` for the training of a GSRM."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flows.cli.check.findings import Findings
from flows.cli.check.machine import check_endpoints, check_launch, check_models, check_services
from flows.cli.check.offline import absent_student
from flows.cli.check.packing import note_packing
from flows.cli.check.shared import check_output, checkpoint, first_findings
from schemas.config.gsrm import GsrmConfig, WorldPaths
from tasks.finished import finished_stages
from tasks.runs import default_folder


def examine_gsrm(config: GsrmConfig, output: str | None = None, offline: bool = False) -> Findings:
    """Runs all checks.

    Args:
        config: The configuration.
        output: The run folder; by default ``runs/<name>``.
        offline: Look only at what is on this machine: no hub, no services, no keys.
    """
    found = first_findings(config, offline)
    if offline and not isinstance(config.paths, WorldPaths) and not Path(config.paths.path).exists():
        found.add("paths", f"not looked at: {config.paths.path}", "note")
    else:
        with found.checking("paths"):
            found.add("paths", _paths(config))
    needed_mb = 200.0
    if offline and (absent := absent_student(config)):
        found.add("student", f"not looked at: {absent}", "note")
    else:
        with found.checking("student"):
            needed_mb = _student(config, found)
    folder = Path(output) if output else default_folder(config)
    if not offline:
        check_models(config, folder.resolve().parent, found)
        check_endpoints(config, found)
        check_services(config, folder.resolve().parent, found)
    check_launch(config, found, offline)
    with found.checking("output"):
        check_output(config, output, needed_mb, found)
    done = finished_stages(config, output)
    if done:
        found.add("finished", ", ".join(done) + " (would be reused)")
    return found


def _paths(config: GsrmConfig) -> str:
    """Reads a file or a run as the stage will; what the built-in world will make is known without making it."""
    from rlkd.gsrm.paths import collect_paths
    from rlkd.pipeline.context import StageContext
    from rlkd.pipeline.events import NullSink

    source = config.paths
    if isinstance(source, WorldPaths):
        sizes = source.world
        return f"{source.per_problem} of each of {sizes.n_train} training problems, {sizes.n_validation} for validation, {sizes.n_test} for the test"
    with tempfile.TemporaryDirectory() as folder:
        made = collect_paths(StageContext(config, {}, Path(folder), NullSink()))
    return f"{made.rows} paths from {source.path}"


def _student(config: GsrmConfig, found: Findings) -> float:
    """Checks weights and tokenizer without loading the weights; returns the MiB that the run will need."""
    if config.student.model.type == "fresh":
        found.add("student", "fresh: made from the training paths")
        return 200.0
    student, tokenizer = checkpoint(config, found)
    limit = config.student.context or student.context
    found.add(
        "student",
        f"{student.parameters / 1e6:.1f} M parameters, {len(tokenizer)} tokens, context {limit or 'unknown'}",
    )
    note_packing(student, config.sft, None, config.student.max_completion_tokens, found)
    return (
        50 + student.parameters * 4 / 2**20 * 10
    )  # the model, and up to three checkpoints with optimiser state
