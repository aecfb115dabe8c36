r"""The structure reward in verl: point ``custom_reward_function`` at this file.

    python -m verl.trainer.main_ppo algorithm.adv_estimator=grpo ... \
        custom_reward_function.path=examples/verl_reward.py \
        custom_reward_function.name=compute_score

verl calls ``compute_score(data_source, solution_str, ground_truth, extra_info)`` for each completion. Each row of your
Parquet files needs the teacher's path (or a list of paths) in ``extra_info["teacher"]``; :func:`to_verl_row` makes such
a row. To choose decomposer, judge or weights, give a YAML file with the sections ``structures`` and ``rewards``:
``+custom_reward_function.reward_kwargs.config=reward.yaml``.

Run by itself, this file scores two completions of one problem.
"""

from __future__ import annotations

from typing import Any

from rlkd.rewards.functions import compute_score

__all__ = ["compute_score", "to_verl_row"]


def to_verl_row(
    problem: str, answer: str, teacher: str | list[str], index: int = 0, split: str = "train"
) -> dict[str, Any]:
    """One row in the form that verl's data loader reads, with the teacher's path where the reward looks for it."""
    return {
        "data_source": "my_dataset",
        "prompt": [{"role": "user", "content": problem}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"split": split, "index": index, "problem": problem, "teacher": teacher},
    }


def main() -> None:
    """Scores a path like the teacher's and a lucky guess."""
    row = to_verl_row(
        "Mia has 3 boxes of 12 pencils and gives away 7. How many are left?",
        "29",
        "There are 3 * 12 = 36 pencils. After giving away 7 there are 36 - 7 = 29. The answer is 29.",
    )
    for text in (
        "3 * 12 = 36. Then 36 - 7 = 29. The answer is 29.",
        "Perhaps 20 + 9 = 29. The answer is 29.",
    ):
        print(
            compute_score(row["data_source"], text, row["reward_model"]["ground_truth"], row["extra_info"]),
            text,
        )


if __name__ == "__main__":
    main()
