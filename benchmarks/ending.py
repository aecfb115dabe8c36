"""How a finished run's student ends: its test problems at several temperatures and limits, and what repeats itself.

    python benchmarks/ending.py runs/demo [--problems 64] [--limits 160 320] [--temperatures 0 0.5 1]

The first table says for each temperature (0 is greedy) and limit how many completions are cut off, how many of their lines
are repeats, and how many are right. The second looks at greedy completions that are cut off at the largest limit, line by
line: the probability of a line that was said n times before, and the entropy (nats) where it begins. A loop that feeds
itself has lines whose probability rises with n; one that comes of taking the likeliest of many lines each time has not.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlkd.io import read_rows
from rlkd.rewards.components import find_component
from rlkd.rewards.loops import repeated_share
from rlkd.rewards.scoring import read_rollout
from rlkd.student.generate import generate_ids
from rlkd.student.load import Student, load_student
from rlkd.student.prompts import PromptBook
from rlkd.student.sampling import Sampling
from rlkd.student.special_tokens import end_ids
from schemas.artifact import RunManifest
from schemas.config.pipeline import PipelineConfig
from schemas.problem import Problem
from schemas.rollout import Completion

MOST = 6
"""Repeats from which lines are counted together."""


def main(argv: Sequence[str] | None = None) -> None:
    """Prints both tables."""
    import torch

    args = _arguments(argv)
    manifest = RunManifest.model_validate_json((args.run / "run.json").read_text(encoding="utf-8"))
    config = PipelineConfig.model_validate(manifest.config)
    folders = {entry.name: Path(entry.uri) for entry in manifest.stages if entry.sha256}
    model = next(folders[name] / "model" for name in ("rl", "warm_start") if name in folders)
    student = load_student(config.student, model)
    book = PromptBook(config.student, student.tokenizer)
    problems = read_rows(folders["data"] / "test.jsonl", Problem)[: args.problems]
    prompts = [book.encode(problem.question) for problem in problems]
    print("| temperature | limit | cut off | repeated lines | tokens | right |\n|---|---|---|---|---|---|")
    for temperature in args.temperatures:
        for limit in args.limits:
            torch.manual_seed(0)
            ids = generate_ids(student.model, prompts, _sampling(student, temperature or None, limit))
            print(f"| {temperature:g} | {limit} | {_row(config, book, problems, ids, student)} |")
    greedy = generate_ids(student.model, prompts, _sampling(student, None, max(args.limits)))
    _print_lines(student, prompts, greedy)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--problems", type=int, default=64, help="test problems")
    parser.add_argument("--limits", type=int, nargs="+", default=[160, 320], help="tokens of a completion")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.0, 0.5, 1.0], help="0 is greedy")
    return parser.parse_args(argv)


def _sampling(student: Student, temperature: float | None, limit: int) -> Sampling:
    ends = tuple(end_ids(student.model, student.tokenizer))
    return Sampling(limit, temperature, 1.0, ends, student.tokenizer.pad_token_id)


def _row(
    config: PipelineConfig,
    book: PromptBook,
    problems: Sequence[Problem],
    ids: Sequence[list[int]],
    student: Student,
) -> str:
    ends = set(end_ids(student.model, student.tokenizer))
    texts = student.tokenizer.batch_decode(ids, skip_special_tokens=True)
    outcome: Any = find_component("outcome")
    right = cut = 0
    for problem, own, text in zip(problems, ids, texts, strict=True):
        ended = bool(own) and own[-1] in ends
        cut += not ended
        reason = "stop" if ended else "length"
        completion = Completion.model_validate(
            {"problem_id": problem.id, "text": book.whole(text), "tokens": len(own), "finish_reason": reason}
        )
        right += outcome(read_rollout(completion, problem, config.student)) == 1.0
    count = len(problems)
    repeats = sum(map(repeated_share, texts)) / count
    return f"{cut / count:.1%} | {repeats:.1%} | {sum(map(len, ids)) / count:.0f} | {right / count:.1%}"


def _print_lines(student: Student, prompts: Sequence[list[int]], completions: Sequence[list[int]]) -> None:
    """Prints what lines of cut-off completions look like, by how often they were said before."""
    import torch

    ends = set(end_ids(student.model, student.tokenizer))
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    loops = [(p, own) for p, own in zip(prompts, completions, strict=True) if own and own[-1] not in ends]
    for prompt, own in loops:
        with torch.no_grad():
            log_p = (
                student.model(torch.tensor([prompt + own])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            )
        entropy = -(log_p.exp() * log_p).sum(-1)
        said: dict[str, int] = defaultdict(int)
        for line in _lines(student, own):
            text = student.tokenizer.decode([own[i] for i in line]).strip()
            whole = sum(float(log_p[i, own[i]]) for i in line)
            found[min(said[text], MOST)].append((torch.tensor(whole).exp().item(), float(entropy[line[0]])))
            said[text] += 1
    print(f"\n{len(loops)} of {len(completions)} greedy completions are cut off at the largest limit\n")
    print("| said before | lines | probability of the line | entropy where it begins |\n|---|---|---|---|")
    for times, rows in sorted(found.items()):
        p, h = (sum(values) / len(rows) for values in zip(*rows, strict=True))
        print(f"| {times}{'+' if times == MOST else ''} | {len(rows)} | {p:.3f} | {h:.2f} |")


def _lines(student: Student, ids: Sequence[int]) -> list[list[int]]:
    """Places of the tokens of each line; a token that holds a line's end belongs to the line."""
    lines: list[list[int]] = [[]]
    for i, token in enumerate(ids):
        lines[-1].append(i)
        if "\n" in student.tokenizer.decode([token]):
            lines.append([])
    return [line for line in lines if line]


if __name__ == "__main__":
    main()
