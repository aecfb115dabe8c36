"""``rlkd run --dry-run``: what the teacher would be asked for, before anything is sent."""

from __future__ import annotations

from flows.configure import configure


def plan_text(preset: str, overrides: list[str]) -> str:
    """Says how many requests, tokens and how much money a run's teacher would take; nothing is sent.

    Raises:
        UserError: Configuration or data cannot be used.
    """
    from rlkd.data.sources import open_source
    from rlkd.data.stage import planned_splits
    from rlkd.data.teachers import open_teacher
    from rlkd.data.teachers._sampled import LanguageModelTeacher

    config = configure(preset, overrides)
    splits = planned_splits(open_source(config.data).load(config.seed), config.data, config.seed)
    limit = config.traces.problems
    problems = [
        problem
        for split, rows in splits.items()
        for problem in (rows[:limit] if split == "train" and limit is not None else rows)
    ]
    wanted = config.traces.per_problem
    plans = []
    for settings in config.traces.teachers:
        mine = [problem for problem in problems if not settings.domains or problem.domain in settings.domains]
        teacher = open_teacher(settings, mine)
        if isinstance(teacher, LanguageModelTeacher):
            plans.append(
                teacher.plan(mine, wanted, max(teacher.config.attempts or wanted, wanted), config.seed)
            )
            teacher.close()
        else:
            plans.append(
                f"{teacher.name}: the teacher {settings.type} asks no model; nothing is sent, and nothing costs money"
            )
    return "\n".join(plans) if len(plans) > 1 else plans[0]
