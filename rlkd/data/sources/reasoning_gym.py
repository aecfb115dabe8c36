"""reasoning-gym datasets: procedural problems with verifiers of their own, some with solution steps."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from rlkd.answers.symbolic import VerifierError
from rlkd.answers.verify import GYM_KEY, gym_score
from rlkd.data.benchmarks import CLUSTER_KEY
from rlkd.data.sources.base import DroppedRow, Loaded, check_malformed
from rlkd.errors import DataError
from schemas.config.data import GymData
from schemas.problem import Problem, Split

_DEFAULT_SIZE = 100


class GymSource:
    """A dataset by name; each split is its own seed, so that none repeats another's draw."""

    def __init__(self, config: GymData) -> None:
        self.config = config

    def load(self, seed: int) -> Loaded:
        """Draws train, validation and test problems; see :class:`~rlkd.data.sources.base.Source`."""
        config, sizes = self.config, self.config.sizes
        if sizes.ood:
            raise DataError("data.sizes.ood: reasoning-gym data has no out-of-distribution test; set it to 0")
        wanted: dict[Split, int] = {
            "test": _DEFAULT_SIZE if sizes.test is None else sizes.test,
            "validation": sizes.validation,
            "train": _DEFAULT_SIZE if sizes.train is None else sizes.train,
        }
        loaded = Loaded(disjoint=True)
        seen: set[str] = set()
        for split, size in wanted.items():
            loaded.splits[split], loaded.where[split] = [], []
            if size:
                # Problem i of a dataset is drawn with seed + i: seeds that are close would repeat problems.
                stream = random.Random(f"{seed}:{split}").getrandbits(31)
                self._draw(split, size, stream, seen, loaded)
        malformed = [row for row in loaded.dropped if row.reason != "exact duplicate"]
        check_malformed(malformed, loaded.rows, config.max_malformed_share, f"reasoning-gym {config.dataset}")
        return loaded

    def _draw(self, split: Split, size: int, seed: int, seen: set[str], loaded: Loaded) -> None:
        name = self.config.dataset
        dataset = self._dataset(size, seed)
        # gsm_symbolic fills templates: problems of one template are right or wrong together.
        templates = getattr(dataset, "task_indices", None)
        for number, entry in enumerate(dataset):
            loaded.rows += 1
            where = f"reasoning-gym {name}, {split}, row {number + 1}"
            question, answer = str(entry["question"]).strip(), str(entry["answer"] or "").strip()
            problem_id = f"{name}:{split}:{number + 1}"
            if question in seen:
                loaded.dropped.append(DroppedRow(where=where, reason="exact duplicate", row=problem_id))
                continue
            problem, fault = self._problem(problem_id, question, answer, split, entry)
            if problem is not None and templates is not None:
                cluster = {CLUSTER_KEY: str(templates[number])}
                problem = problem.model_copy(update={"metadata": problem.metadata | cluster})
            if problem is None:
                loaded.dropped.append(DroppedRow(where=where, reason=fault, row=problem_id))
                continue
            seen.add(question)
            loaded.splits[split].append(problem)
            loaded.where[split].append(where)

    def _problem(
        self, problem_id: str, question: str, answer: str, split: Split, entry: Mapping[str, Any]
    ) -> tuple[Problem | None, str]:
        """The problem of an entry, or ``None`` and why there is none."""
        name = self.config.dataset
        stored = _storable(entry)
        if stored is None:
            return None, "the entry cannot be stored as JSON"
        if not question or not answer:
            return None, "no question" if not question else "no answer"
        metadata = {GYM_KEY: {"dataset": name, "parameters": self.config.parameters, "entry": stored}}
        problem = Problem(
            id=problem_id,
            question=question,
            answer=answer,
            domain=name,
            split=split,
            source=f"reasoning_gym:{name}",
            traces=_steps(entry),
            metadata=metadata,
        )
        try:
            score = gym_score(problem, answer)
        except VerifierError as error:
            return None, f"its own verifier fails on the reference answer ({error})"
        return (
            (problem, "") if score == 1.0 else (None, "its own verifier does not accept the reference answer")
        )

    def _dataset(self, size: int, seed: int) -> Any:
        try:
            import reasoning_gym
            from reasoning_gym.factory import DATASETS
        except ImportError:
            raise DataError(
                "data.type 'reasoning_gym' needs the reasoning-gym library; install it with: pip install 'rlkd[gym]'"
            ) from None
        from rlkd.config.faults import suggest

        config = self.config
        if config.dataset not in DATASETS:
            raise DataError(
                f"data.dataset: reasoning-gym has no dataset {config.dataset!r}{suggest(config.dataset, sorted(DATASETS))}"
            )
        try:
            return reasoning_gym.create_dataset(
                config.dataset, **{**config.parameters, "size": size, "seed": seed}
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise DataError(
                f"data.parameters: reasoning-gym dataset {config.dataset!r} refuses them ({error}); see its configuration class"
            ) from None


def _steps(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The solution steps that an entry carries, ended by its answer where they do not state it."""
    text = (entry.get("metadata") or {}).get("answer_cot")
    if not isinstance(text, str) or not text.strip():
        return ()
    text = text.strip()
    return (text if "####" in text else f"{text}\n#### {entry['answer']}",)


def _storable(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """The entry as JSON, or ``None`` where JSON would change it (its verifier needs it as it was)."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(entry))
    except (TypeError, ValueError):
        return None
    return stored


def build(config: GymData) -> GymSource:
    """Builds the source of ``type: reasoning_gym``."""
    return GymSource(config)
