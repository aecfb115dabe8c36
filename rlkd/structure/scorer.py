"""The structure scorer: decompose the student's path, compare it with the teachers', score in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rlkd.quantities.stated import problem_quantities
from rlkd.structure.decomposers.rules import RulesDecomposer, answer_of, decompose_text
from rlkd.structure.graphs.views import Prepared, View, prepare_raw, prepare_structure
from rlkd.structure.interfaces import Decomposer, Judge, PairVerdict, PathItem, StepPair
from rlkd.structure.judges.rules import RulesJudge, judge_views
from rlkd.structure.matching.align import align_prefix
from rlkd.structure.matching.compare import Comparison, compare_numeric, compare_verdicts, merge_explained
from rlkd.structure.matching.prefix_rule import PrefixSample, score_prefix
from rlkd.structure.matching.several_teachers import Place, Walk, other_walks
from rlkd.structure.reading.path import RawStep, read_path
from schemas.alignment import StepMatch, StructureScore
from schemas.config.structure import PrefixAlignmentConfig, StructureAlignmentConfig
from schemas.structure import Structure

_CACHE = 4096
Matrix = Sequence[Sequence[PairVerdict]]
"""Verdicts on teacher step i and student step j."""


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """One student path to score.

    Attributes:
        problem: The problem's text.
        teachers: The structures of the teacher's paths, at least one.
        student_path: The student's path.
        domain: Reasoning domain.
    """

    problem: str
    teachers: tuple[Structure, ...]
    student_path: str
    domain: str = "math"


class StructureScorer:
    """Scores student paths against teacher structures.

    With the rules decomposer and judge everything happens in memory; with other backends, all pairs of a batch go
    to the judge in one call. A fault of a backend makes the score missing (``None``), never zero.
    """

    def __init__(
        self,
        decomposer: Decomposer | None = None,
        judge: Judge | None = None,
        alignment: PrefixAlignmentConfig | StructureAlignmentConfig | None = None,
    ) -> None:
        self.decomposer: Decomposer = decomposer or RulesDecomposer()
        self.judge: Judge = judge or RulesJudge()
        self.alignment = alignment or StructureAlignmentConfig(type="structure")
        self._teachers: dict[tuple[int, str], tuple[Structure, Prepared]] = {}
        self._walks: dict[tuple[tuple[int, ...], str], tuple[tuple[Structure, ...], list[Walk]]] = {}

    async def score(self, items: Sequence[ScoreItem]) -> list[StructureScore | None]:
        """Scores items, in order.

        Returns:
            The scores; ``None`` (missing) where no teacher has a step or a backend failed.
        """
        by_rules = isinstance(self.decomposer, RulesDecomposer) and isinstance(self.judge, RulesJudge)
        if by_rules:
            return [self.score_now(item) for item in items]
        paths = [PathItem(item.problem, item.student_path, item.domain) for item in items]
        if isinstance(self.alignment, PrefixAlignmentConfig) and not isinstance(self.judge, RulesJudge):
            samples = [PrefixSample(path, item.teachers) for path, item in zip(paths, items, strict=True)]
            return await score_prefix(samples, self.decomposer, self.judge, self.alignment)
        structures = await self.decomposer.decompose(paths)
        return await self._score_structures(items, structures)

    # -- rules only ---------------------------------------------------------------------------------

    def score_now(self, item: ScoreItem) -> StructureScore | None:
        """Scores one item by rules, at once (see :meth:`score`)."""
        found = self._by_rules(item)
        if found is None:
            return None
        result, student, raw = found
        said = [
            (v.index, v.text, answer_of(item.student_path, s, v))
            for s, v in zip(raw, student.views, strict=True)
        ]
        return report(result, said)

    def quick_score(self, item: ScoreItem) -> float | None:
        """The score alone, by rules, without the report of steps (see :meth:`score`)."""
        found = self._by_rules(item, prefix=isinstance(self.alignment, PrefixAlignmentConfig))
        return None if found is None else found[0].structure

    def _by_rules(
        self, item: ScoreItem, *, prefix: bool = True
    ) -> tuple[Result, Prepared, list[RawStep]] | None:
        if not isinstance(self.decomposer, RulesDecomposer) or not isinstance(self.judge, RulesJudge):
            raise TypeError("scoring at once needs the rules decomposer and judge; use score")
        problem = problem_quantities(item.problem)
        teachers = self._prepared(item, problem)
        if not any(teacher.views for teacher in teachers):
            return None
        limits = self.decomposer.config
        raw = read_path(item.student_path, limits.max_chars, limits.max_steps)
        student = prepare_raw(item.student_path, raw, problem, item.problem)
        return self._compare(item, teachers, student, None, prefix=prefix), student, raw

    # -- any backend --------------------------------------------------------------------------------

    async def _score_structures(
        self, items: Sequence[ScoreItem], structures: Sequence[Structure | None]
    ) -> list[StructureScore | None]:
        pairs: list[StepPair] = []
        starts: list[int] = []
        for number, (item, structure) in enumerate(zip(items, structures, strict=True)):
            starts.append(len(pairs))
            if structure is None:
                continue
            for teacher in () if isinstance(self.judge, RulesJudge) else item.teachers:
                pairs += [
                    StepPair(t, s, item.problem, item.domain, number)
                    for t in teacher.steps
                    for s in structure.steps
                ]
        verdicts = [] if isinstance(self.judge, RulesJudge) or not pairs else await self.judge.judge(pairs)
        scores: list[StructureScore | None] = []
        for item, structure, start in zip(items, structures, starts, strict=True):
            scores.append(None if structure is None else self._score_item(item, structure, verdicts, start))
        return scores

    def _score_item(
        self, item: ScoreItem, structure: Structure, verdicts: Sequence[PairVerdict | None], start: int
    ) -> StructureScore | None:
        problem = problem_quantities(item.problem)
        teachers = self._prepared(item, problem)
        if not any(teacher.views for teacher in teachers):
            return None
        student = prepare_structure(structure, problem)
        matrices: list[list[list[PairVerdict]]] | None = None if isinstance(self.judge, RulesJudge) else []
        for teacher in teachers if matrices is not None else ():
            matrix: list[list[PairVerdict]] = []
            for _ in teacher.views:
                row = verdicts[start : start + len(student.views)]
                start += len(student.views)
                if any(verdict is None for verdict in row):
                    return None
                matrix.append([verdict for verdict in row if verdict is not None])
            if matrices is not None:
                matrices.append(matrix)
        result = self._compare(item, teachers, student, matrices)
        return report(result, [(s.index, s.sub_problem, s.answer) for s in structure.steps])

    # -- shared -------------------------------------------------------------------------------------

    def _prepared(self, item: ScoreItem, problem: tuple[float, ...]) -> list[Prepared]:
        found: list[Prepared] = []
        for structure in item.teachers:
            key = (id(structure), item.problem)
            known = self._teachers.get(key)
            if known is None or known[0] is not structure:
                if len(self._teachers) >= _CACHE:
                    self._teachers.clear()
                known = (structure, prepare_structure(structure, problem))
                self._teachers[key] = known
            found.append(known[1])
        return found

    def _other_walks(self, item: ScoreItem, teachers: list[Prepared]) -> list[Walk]:
        """Walks through the merged graph of several teacher paths; the paper's rule knows single paths only."""
        if len(teachers) < 2 or isinstance(self.alignment, PrefixAlignmentConfig):
            return []
        key = (tuple(map(id, item.teachers)), item.problem)
        known = self._walks.get(key)
        if known is None or any(a is not b for a, b in zip(known[0], item.teachers, strict=True)):
            if len(self._walks) >= _CACHE:
                self._walks.clear()
            known = (item.teachers, other_walks(item.teachers, teachers, problem_quantities(item.problem)))
            self._walks[key] = known
        return known[1]

    def _compare(
        self,
        item: ScoreItem,
        teachers: list[Prepared],
        student: Prepared,
        matrices: Sequence[Matrix] | None,
        *,
        prefix: bool = True,
    ) -> Result:
        """Compares with every teacher path, and with the other walks through their graph; the best counts.

        Without ``prefix`` the paper's rule is left out, which saves its time.
        """
        found: list[Result] = []
        prefixes = [0.0]
        for k, teacher in enumerate(teachers):
            if teacher.views:
                matrix = matrices[k] if matrices is not None else None
                bounded, unbounded = self._prefix(teacher, student, matrix) if prefix else (0.0, 0.0)
                prefixes.append(bounded)
                score = bounded if getattr(self.alignment, "normalize", True) else unbounded
                origin = [(k, i) for i in range(len(teacher.views))]
                found.append(
                    Result(score, 0.0, origin, self._against(teacher, student, item.problem, matrix))
                )
        for walk in self._other_walks(item, teachers):
            rows = [matrices[k][i] for k, i in walk.origin] if matrices is not None else None
            found.append(
                Result(0.0, 0.0, walk.origin, self._against(walk.prepared, student, item.problem, rows))
            )
        merge_explained([result.comparison for result in found])
        if not isinstance(self.alignment, PrefixAlignmentConfig):
            for result in found:
                result.structure = result.comparison.score()
        best = max(
            found, key=lambda result: result.structure
        )  # the first of equals; a teacher's own path before walks
        best.prefix = max(prefixes)
        return best

    def _against(
        self, teacher: Prepared, student: Prepared, problem: str, matrix: Matrix | None
    ) -> Comparison:
        if matrix is None and teacher.graph.units:
            return compare_numeric(teacher, student, problem)
        full = matrix if matrix is not None else self._matrix(teacher, student)
        return compare_verdicts(teacher, student, full, self.alignment.threshold, problem)

    def _matrix(self, teacher: Prepared, student: Prepared) -> list[list[PairVerdict]]:
        return [[self._judge_now(t, s) for s in student.views] for t in teacher.views]

    def _judge_now(self, teacher: View, student: View) -> PairVerdict:
        return judge_views(
            teacher, student, isinstance(self.judge, RulesJudge) and self.judge.config.symbolic
        )

    def _prefix(
        self, teacher: Prepared, student: Prepared, matrix: Sequence[Sequence[PairVerdict]] | None
    ) -> tuple[float, float]:
        threshold = self.alignment.threshold
        rows: list[list[PairVerdict]] = []
        for i, view in enumerate(teacher.views):
            if i >= len(student.views):
                break
            verdict = matrix[i][i] if matrix is not None else self._judge_now(view, student.views[i])
            rows.append([verdict] * (i + 1))
            if verdict.p_intent < threshold:
                break
        total, _ = align_prefix(rows, threshold, normalize=False)
        return total / len(teacher.views), total


@dataclass(slots=True)
class Result:
    """The best comparison.

    Attributes:
        structure: The score.
        prefix: The paper's rule.
        origin: For each step of the reference that it was reached with, the teacher path and the step there.
        comparison: How the steps were matched.
    """

    structure: float
    prefix: float
    origin: Sequence[Place]
    comparison: Comparison


def report(result: Result, said: Sequence[tuple[int, str, str]]) -> StructureScore:
    """Writes a result out, step by step.

    Args:
        result: The best comparison.
        said: Index, sub-problem and answer of each step of the student.
    """
    rows: list[StepMatch] = []
    for (index, sub_problem, answer), match in zip(said, result.comparison.steps, strict=True):
        if match is None:
            rows.append(StepMatch(index=index, sub_problem=sub_problem, answer=answer))
            continue
        rows.append(
            StepMatch(
                index=index,
                sub_problem=sub_problem,
                answer=answer,
                teacher_path=result.origin[match[0]][0],
                teacher_step=result.origin[match[0]][1],
                p_intent=match[1].p_intent,
                p_sub_problem=match[1].p_sub_problem,
                p_answer=match[1].p_answer,
            )
        )
    return StructureScore(
        structure=result.structure,
        prefix=result.prefix,
        teacher_steps=len(result.origin),
        student_steps=len(said),
        steps=tuple(rows),
    )


def score_paths(
    problem: str,
    teachers: list[str],
    student: str,
    scorer: StructureScorer | None = None,
    domain: str = "math",
) -> StructureScore | None:
    """Scores one student path against teacher paths, by rules (the embedded default).

    Args:
        problem: The problem's text; may be empty.
        teachers: Teacher paths, at least one.
        student: The student's path.
        scorer: A scorer with rules backends; by default a new one.
        domain: Reasoning domain.

    Returns:
        The score, or ``None`` (missing) where no teacher path has a step.
    """
    scorer = scorer or StructureScorer()
    structures = tuple(decompose_text(teacher, domain, problem) for teacher in teachers)
    return scorer.score_now(ScoreItem(problem, structures, student, domain))
