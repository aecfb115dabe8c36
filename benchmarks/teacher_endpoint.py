"""A teacher behind a server that fails, in a run that is killed: what is lost, bought twice, slow, or grows.

Usage:
    python benchmarks/teacher_endpoint.py --problems 10000 --slots 32 --concurrency 48 --seconds 0.8 --faults 0.05 --kills 3

A scripted server on 127.0.0.1 works on ``--slots`` requests at once, ``--seconds`` each, and fails in a random share of
them in every way that servers fail. The client has ``--concurrency`` requests under way, more than slots, so that the next one waits
at the server when a slot becomes free. The traces stage runs in a process of its own and is killed with SIGKILL.
Figures: problems with a trace or a recorded reason; answers that the server gave although an answer to the same request was
on disk; how busy its slots were while a client ran; the client's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.io import write_rows
from schemas.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
CLIENT = """
import json, sys
from pathlib import Path
from rlkd.config.load import parse_config
from rlkd.data.traces import collect_traces
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink

data, folder, config = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
collect_traces(StageContext(parse_config(config), {"data": data}, folder, NullSink()))
"""
TIMEOUT_S = 4.0


class Server:
    """What the scripted server answers, and what it counts.

    Args:
        seconds: Time of one request.
        share: Share of the requests that fail.
        seed: Seed of which fail, and how.
    """

    def __init__(self, seconds: float, share: float, seed: int = 0) -> None:
        self.seconds = seconds
        self.share = share
        self.rng = random.Random(seed)
        self.given: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.busy_s = 0.0
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        """Answers one request."""
        question = body["messages"][-1]["content"]
        i = int(question.split()[2])
        right = f"{i} + 2 = {i + 2}\nThe answer is {i + 2}."
        with self.lock:
            self.busy_s += self.seconds
            kind = ""
            if self.rng.random() < self.share:
                kind = self.rng.choice(list(self.kinds(right)))
                self.faults[kind] += 1
            if not kind or kind in ("other_language", "long"):
                self.given[f"{i}/{body.get('seed')}"] += 1
            if kind == "hang":
                self.busy_s += 2 * TIMEOUT_S
        return self.kinds(right)[kind] if kind else Reply(right, 50, 20)

    @staticmethod
    def kinds(right: str) -> dict[str, Reply]:
        """Every way to fail. Two of them are answers that are paid for, but teach nothing."""
        return {
            "busy": Reply("slow down", status=429, headers={"Retry-After": "1"}),
            "broken": Reply("internal error", status=500),
            "hang": Reply(right, delay_s=2 * TIMEOUT_S),
            "reset": Reply(hang_up=True),
            "truncated": Reply(raw=b'{"choices": [{"message": {"content": "2 +'),
            "cut_off_on_the_way": Reply(raw=b'{"choices": [{"mess', hang_up=True),
            "no_choice": Reply(raw=b'{"choices": []}'),
            "wrong_model": Reply("there is no such model", status=404),
            "unauthorized": Reply("invalid key", status=401),
            "other_language": Reply("Ich weiß es leider nicht, aber es ist eine schöne Aufgabe.", 50, 15),
            "long": Reply("and so on " * 50_000, 50, 100_000, finish_reason="length"),
        }


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MiB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def on_disk(answers: Path) -> Counter[str]:
    """How many whole answers are kept for each problem."""
    text = "".join(path.read_text() for path in answers.glob("*.jsonl"))
    return Counter(json.loads(line)["problem_id"] for line in text.splitlines() if line.endswith("}"))


def write_problems(data: Path, problems: int) -> None:
    """Writes the splits of a finished data stage, all problems in the first."""
    data.mkdir()
    rows = [
        Problem(id=f"p{i}", question=f"Anna has {i} shells and 2 more.", answer=str(i + 2))
        for i in range(problems)
    ]
    for split in ("train", "validation", "test", "ood"):
        write_rows(data / f"{split}.jsonl", rows if split == "train" else [])


def settings(url: str, concurrency: int, timeout_s: float, answers: Path) -> str:
    """The configuration of the traces stage, as JSON."""
    endpoint = {
        "base_url": url,
        "model": "big",
        "concurrency": concurrency,
        "timeout_s": timeout_s,
        "max_wait_s": 2,
    }
    teacher = {"type": "endpoint", "endpoint": endpoint, "answers": str(answers), "max_tokens": 100}
    source = {"type": "file", "path": "p", "columns": {"traces": []}}
    return parse_config({"name": "t", "data": source, "traces": {"teacher": teacher}}).model_dump_json()


def measure(
    problems: int, slots: int, concurrency: int, seconds: float, share: float, kills: int, root: Path
) -> dict[str, Any]:
    """Runs the stage to its end, killing it on the way, and returns the figures."""
    data, folder, answers = root / "data", root / "traces", root / "answers"
    write_problems(data, problems)
    folder.mkdir()
    server = Server(seconds, share)
    goals = [problems * (k + 1) // (kills + 1) for k in range(kills)]
    bought_again, under_way, running_s = 0, 0, 0.0
    memory: list[float] = []
    with SimulatedServer(server, slots=slots, base_s=seconds) as loopback:
        config = settings(loopback.url, concurrency, concurrency / slots * seconds + TIMEOUT_S, answers)
        command = [sys.executable, "-c", CLIENT, str(data), str(folder), config]
        known: Counter[str] = Counter()
        for goal in [*goals, None]:
            given = Counter(server.given)
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
            first = None
            while process.poll() is None:
                time.sleep(0.25)
                loopback.seen.clear()
                memory.append(resident_mb(process.pid))
                if first is None and server.given != given:
                    first = time.monotonic() - seconds
                if goal is not None and sum(server.given.values()) >= goal:
                    process.send_signal(signal.SIGKILL)
                    break
            ended = process.wait()
            running_s += time.monotonic() - (first or time.monotonic())
            if goal is None and ended != 0:
                raise SystemExit(f"the stage ended with {ended}")
            # what was on disk when this attempt began must not have been bought in it
            now = Counter(server.given)
            again = [name for name in now if known[f"p{name.split('/')[0]}"] and now[name] > given[name]]
            bought_again += sum(now[name] - given[name] for name in again)
            known = on_disk(answers)
            under_way += sum(
                given_now > 0 and not known[f"p{name.split('/')[0]}"] for name, given_now in now.items()
            )
        server_s = time.process_time()
        client_s = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = json.loads((folder / "summary.json").read_text())
    return {
        "problems": problems,
        "accepted": summary["accepted"],
        "rejected": summary["rejected"],
        "reasons": summary["reasons"],
        "without_either": problems - summary["accepted"] - summary["rejected"],
        "faults": dict(server.faults),
        "bought_again_though_on_disk": bought_again,
        "answers_lost_under_way_at_a_kill": under_way,
        "answers_given": sum(server.given.values()),
        "running_s": round(running_s, 1),
        "slots_busy": round(server.busy_s / (slots * running_s), 3),
        "server_cpu_s": round(server_s, 1),
        "client_cpu_s": round(client_s.ru_utime + client_s.ru_stime, 1),
        "memory_mb": thirds(memory),
    }


def thirds(memory: list[float]) -> dict[str, int]:
    """The peak of a series in its first and in its last third: whether it grows."""
    third = max(1, len(memory) // 3)
    return {"first_third": round(max(memory[:third])), "last_third": round(max(memory[-third:]))}


def main() -> None:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--concurrency", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=0.8)
    parser.add_argument("--faults", type=float, default=0.05)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            options.problems,
            options.slots,
            options.concurrency,
            options.seconds,
            options.faults,
            options.kills,
            Path(folder),
        )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
