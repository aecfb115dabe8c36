"""What the structure reward costs: against the paper's procedure on a simulated server, and by rules alone.

    python benchmarks/reward_cost.py [--scale 0.2] [--json cost.json] [--parts server rules]

Part ``server``: 32 problems x 8 completions (a quarter of them duplicates) x 6 steps, 60% of steps matching, on one real
HTTP server on this machine that works on 40 requests at once and takes 0.3 s + 20 ms per output token. All times are
multiplied by ``--scale``, for every procedure alike, so that ratios are kept and a run takes about four minutes; the
table shows seconds of the unscaled server. Token counts are fixed per request for every procedure: decomposition 2,000
(few-shot prompt) + 600 (path) in and 400 out; judge 150 in and 2 out, per question.

Three ways of the paper's procedure, which decomposes the student's and the teacher's path for each completion:
``paper`` asks for all decompositions of the batch at once and then puts the judge's questions one after another;
``paper, threads`` is the public code's own way, which judges 32 samples at once; ``paper, one by one`` (only with
``--sequential``, slow) works on one completion after another.

Part ``rules``: no model; completions a second on one core (``rules_cost.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.rewards.texts import TextSample, TextScorer
from rlkd.structure.factory import make_scorer
from rlkd.structure.interfaces import PathItem
from schemas.config.structure import StructuresConfig

PROBLEMS, GROUP, STEPS, MATCHING, AT_ONCE, THREADS = 32, 8, 6, 0.6, 40, 32
BASE_S, TOKEN_S = 0.3, 0.02
PROMPT, PATH, DECOMPOSITION, QUESTION, VERDICT = 2000, 600, 400, 150, 2
GOALS = {"seconds": 10.0, "prompt_tokens": 2.0, "completion_tokens": 1.8}
_ID = re.compile(r"path-(p\d+(?:c\d+)?)\b")
_TAG = re.compile(r"tag-(\w+)")


Step = tuple[str, str, str]
"""Meta-reasoning, sub-problem and answer; equal tags in them mean equal content."""


@dataclass(frozen=True)
class World:
    """What the simulated models say: steps and texts by path id, and (problem, path id) of each completion."""

    steps: dict[str, list[Step]]
    paths: dict[str, str]
    samples: list[tuple[int, str]]


def make_world(seed: int = 0) -> World:
    """Paths with known steps. Wording always differs between two paths, so that no question answers itself."""
    rng = random.Random(seed)
    steps: dict[str, list[Step]] = {}
    samples: list[tuple[int, str]] = []
    for p in range(PROBLEMS):
        steps[f"p{p}"] = [_step(f"p{p}", f"{p}x{i}", f"{p}y{i}", f"{p}z{i}") for i in range(STEPS)]
        for c in range(GROUP):
            twin = c - GROUP * 3 // 4  # the last quarter of a group repeats its first completions
            name = f"p{p}c{twin if twin >= 0 else c}"
            samples.append((p, name))
            if name not in steps:
                steps[name] = [_student_step(rng, name, p, i) for i in range(STEPS)]
    return World(steps, {name: f"path-{name} " + "word " * PATH for name in steps}, samples)


def _step(name: str, intent: str, sub_problem: str, answer: str) -> Step:
    return (
        f"plan of {name} tag-{intent}",
        f"question of {name} tag-{sub_problem}?",
        f"value in {name} tag-{answer}",
    )


def _student_step(rng: random.Random, name: str, p: int, i: int) -> Step:
    """A matching step has the teacher's intent; its sub-problem and answer agree three times out of four."""
    if rng.random() >= MATCHING:
        return _step(name, f"{name}q{i}", f"{name}r{i}", f"{name}s{i}")
    sub_problem = f"{p}y{i}" if rng.random() < 0.75 else f"{name}r{i}"
    answer = f"{p}z{i}" if rng.random() < 0.75 else f"{name}s{i}"
    return _step(name, f"{p}x{i}", sub_problem, answer)


def answer(world: World) -> Callable[[dict[str, Any]], Reply]:
    """The simulated models: decompose the path that a request names, or compare the tags that it holds."""

    def reply(body: dict[str, Any]) -> Reply:
        content = body["messages"][-1]["content"]
        named = _ID.search(content)
        if named:
            steps = world.steps[named.group(1)]
            text = _as_json(steps) if "response_format" in body else _as_marks(steps)
            return Reply(text, PROMPT + PATH, DECOMPOSITION)
        rows = json.loads(content.split("\n")[1]) if content.startswith("<data-") else None
        if isinstance(rows, list):
            verdicts = [_same(row["A"], row["B"]) for row in rows]
            return Reply(json.dumps({"answers": verdicts}), QUESTION * len(rows), VERDICT * len(rows))
        first, second = _TAG.findall(content)
        return Reply("yes" if first == second else "no", QUESTION, VERDICT)

    return reply


def _same(a: str, b: str) -> str:
    return "yes" if _TAG.findall(a) == _TAG.findall(b) else "no"


def _as_json(steps: list[Step]) -> str:
    return json.dumps({"steps": [{"meta": m, "sub_problem": q, "answer": a} for m, q, a in steps]})


def _as_marks(steps: list[Step]) -> str:
    return "\n".join(
        f"[sub-think {i}] {m}\n[Query {i}] {q}\n[Answer {i}] {a}" for i, (m, q, a) in enumerate(steps, 1)
    )


# -- the paper's procedure ------------------------------------------------------------------------------


class Paper:
    """The paper's procedure: two decompositions per completion, then up to three questions a step, in sequence."""

    def __init__(self, url: str, world: World) -> None:
        self.url = url + "/chat/completions"
        self.world = world
        self.client = httpx.Client(timeout=None, limits=httpx.Limits(max_connections=AT_ONCE))

    def ask(self, content: str) -> str:
        """One request and its text."""
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": content}],
            "max_tokens": 10_000,
            "temperature": 0,
        }
        text: str = self.client.post(self.url, json=body).json()["choices"][0]["message"]["content"]
        return text

    def decompose(self, name: str) -> list[Step]:
        """Steps of a path."""
        text = self.ask("Decompose this reasoning:\n" + self.world.paths[name])
        found = {kind: re.findall(rf"\[{kind} \d+\] (.*)", text) for kind in ("sub-think", "Query", "Answer")}
        return list(zip(*found.values(), strict=True))

    def judge(self, student: list[Step], teacher: list[Step]) -> float:
        """Sum over steps: 1 for the same intent, halved twice, nothing after the first other intent."""
        pairs = list(zip(student, teacher, strict=False))
        credit: list[float] = []
        for s, t in pairs:
            if self.ask(f"Same problem? Answer yes or no.\n1: {t[0]}\n2: {s[0]}") != "yes":
                break
            credit.append(1.0)
        for part in (1, 2):
            for i in range(len(credit)):
                s, t = pairs[i]
                if self.ask(f"The same? Answer yes or no.\n1: {t[part]}\n2: {s[part]}") != "yes":
                    credit[i] /= 2
        return sum(credit) / len(teacher)

    def batch(self, judges: int) -> list[float]:
        """All decompositions at once, then the samples' questions in ``judges`` threads (1: one after another)."""
        names = [name for _, name in self.world.samples]
        teachers = [f"p{p}" for p, _ in self.world.samples]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(self.decompose, names + teachers))
        with concurrent.futures.ThreadPoolExecutor(judges) as pool:
            return list(pool.map(self.judge, found[: len(names)], found[len(names) :]))

    def one_by_one(self) -> list[float]:
        """One completion after another."""
        return [self.judge(self.decompose(name), self.decompose(f"p{p}")) for p, name in self.world.samples]


# -- ours -----------------------------------------------------------------------------------------------


def settings(url: str, cache: Path | None, together: bool) -> StructuresConfig:
    endpoint = {"type": "openai", "base_url": url, "model": "m", "concurrency": AT_ONCE, "timeout_s": 3600}
    values = {
        "decomposer": {"type": "generative", "endpoint": endpoint},
        "judge": {"type": "llm", "endpoint": endpoint, "batch": together},
        "alignment": {"type": "prefix"},
        "cache": {"enabled": cache is not None, "folder": str(cache) if cache else None},
    }
    return StructuresConfig.model_validate(values)


def ours(
    url: str, world: World, cache: Path | None, together: bool, stored: bool, clock: Clock
) -> list[float]:
    """Scores the batch; with ``stored``, teacher structures are there before (as in training), and not counted."""
    scorer = TextScorer(make_scorer(settings(url, cache, together)))
    samples = [
        TextSample(PathItem(f"problem {p}", world.paths[name]), (world.paths[f"p{p}"],))
        for p, name in world.samples
    ]

    async def run() -> list[float]:
        if stored:
            await scorer.scorer.decomposer.decompose(
                [PathItem(s.student.problem, s.teachers[0]) for s in samples[::GROUP]]
            )
            clock.restart()
        scores = await scorer.score(samples)
        if None in scores:
            raise SystemExit("scores are missing: the simulated server failed")
        return [score.prefix for score in scores if score is not None]

    return asyncio.run(run())


class Clock:
    """Wall time and the server's counters, from the last restart on."""

    def __init__(self, server: SimulatedServer) -> None:
        self.server = server
        self.restart()

    def restart(self) -> None:
        """Starts again from zero."""
        self.server.reset()
        self.start = time.perf_counter()

    def stop(self, scale: float) -> tuple[float, int, int, int]:
        """Seconds of the unscaled server, requests, prompt and completion tokens."""
        seconds = (time.perf_counter() - self.start) / scale
        return seconds, len(self.server.seen), self.server.prompt_tokens, self.server.completion_tokens


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    seconds: float
    requests: int
    prompt_tokens: int
    completion_tokens: int
    same_scores: bool


def server_part(scale: float, sequential: bool) -> list[Row]:
    """Every procedure against one server."""
    world = make_world()
    rows: list[Row] = []
    reference: list[float] = []
    with (
        SimulatedServer(answer(world), AT_ONCE, BASE_S * scale, TOKEN_S * scale) as server,
        tempfile.TemporaryDirectory() as temporary,
    ):
        folder = Path(temporary)
        clock = Clock(server)
        paper = Paper(server.url, world)

        def measure(name: str, run: Callable[[], list[float]]) -> None:
            clock.restart()
            scores = run()
            row = Row(name, *clock.stop(scale), scores == (reference or scores))
            if not reference:
                reference.extend(scores)
            rows.append(row)
            print(_line(row), flush=True)

        print(
            f"{'procedure':44} {'seconds':>8} {'requests':>8} {'prompt':>10} {'output':>8}  same prefix scores"
        )
        measure("paper", lambda: paper.batch(judges=1))
        measure("paper, threads (the public code's way)", lambda: paper.batch(judges=THREADS))
        if sequential:
            measure("paper, one by one", paper.one_by_one)
        measure("ours, cache off", lambda: ours(server.url, world, None, True, False, clock))
        measure("ours, cache on (empty)", lambda: ours(server.url, world, folder / "a", True, False, clock))
        measure("ours, cache on (full)", lambda: ours(server.url, world, folder / "a", True, False, clock))
        measure(
            "ours, teachers stored before, as in training",
            lambda: ours(server.url, world, None, True, True, clock),
        )
        measure(
            "ours, every question its own request", lambda: ours(server.url, world, None, False, False, clock)
        )
    return rows


def _line(row: Row) -> str:
    return f"{row.name:44} {row.seconds:8.1f} {row.requests:8d} {row.prompt_tokens:10d} {row.completion_tokens:8d}  {'yes' if row.same_scores else 'NO'}"


def ratios(rows: list[Row]) -> dict[str, dict[str, float]]:
    """How many times less each of our ways that asks anything at all needs than ``paper``."""
    base = rows[0]
    return {
        row.name: {name: getattr(base, name) / getattr(row, name) for name in GOALS}
        for row in rows
        if row.name.startswith("ours") and row.requests
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scale", type=float, default=0.2, help="factor on all of the server's times (default 0.2)"
    )
    parser.add_argument(
        "--sequential",
        action="store_true",
        help="also the paper's procedure one completion after another (minutes)",
    )
    parser.add_argument("--parts", nargs="+", choices=["server", "rules"], default=["server", "rules"])
    parser.add_argument("--completions", type=int, default=4096, help="completions of the rules part")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores / 2:
        print(
            f"this machine is busy (load {load:.1f} on {cores} cores): times will be too long, ours above all\n"
        )
    result: dict[str, Any] = {"scale": options.scale, "goals": GOALS, "load": load, "cores": cores}
    reached = True
    if "server" in options.parts:
        rows = server_part(options.scale, options.sequential)
        result["server"], result["ratios"] = [asdict(row) for row in rows], ratios(rows)
        print("\ntimes less than `paper`                          wall   prompt   output")
        for name, figures in result["ratios"].items():
            print(
                f"{name:44} {figures['seconds']:8.1f} {figures['prompt_tokens']:8.2f} {figures['completion_tokens']:8.2f}"
            )
        main_rows = [result["ratios"][name] for name in ("ours, cache off", "ours, cache on (empty)")]
        reached = all(row.same_scores for row in rows) and all(
            f[k] >= v for f in main_rows for k, v in GOALS.items()
        )
        print(
            f"goals (at least 10, 2 and 1.8 times less, same scores, cache on and off): {'reached' if reached else 'NOT reached'}"
        )
    if "rules" in options.parts:
        from rules_cost import rules_part, show

        result["rules"] = rules_part(options.completions)
        show(result["rules"])
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
