"""A run that is killed in the middle: nothing that was received is bought again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.cli.teacher_plan import plan_text
from rlkd.completion.simulated import Reply, SimulatedServer
from rlkd.config.load import parse_config
from rlkd.data.rejection import CUT_OFF
from rlkd.data.traces import NO_ANSWER
from rlkd.io import write_rows
from schemas.problem import Problem

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import json, sys
from pathlib import Path
from rlkd.config.load import parse_config
from rlkd.data.traces import collect_traces
from rlkd.pipeline.context import StageContext
from rlkd.pipeline.events import NullSink
from rlkd.pipeline.jobs import peak_rss_mb

data, folder, config = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
collect_traces(StageContext(parse_config(config), {"data": data}, folder, NullSink()))
(folder / "peak").write_text(str(peak_rss_mb()))
"""
LONG, FOREIGN = {5, 105, 205}, {6, 106, 206}
"""Problems whose answer is 100,000 tokens without an end, and in another language without a final answer."""


def number(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split()[2])


def whole_lines(folder: Path) -> list[int]:
    """Problems whose answers are on disk, by the number in their id."""
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    return [int(json.loads(line)["problem_id"][1:]) for line in text.splitlines() if line.endswith("}")]


def peak_mb(pid: int) -> float:
    """Largest resident memory of a running process so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from /proc")
def test_killed_three_times_it_buys_no_received_answer_again(tmp_path: Path) -> None:
    asked: Counter[int] = Counter()
    faults = {
        0: Reply("busy", status=429, headers={"Retry-After": "0"}),
        1: Reply(hang_up=True),
        2: Reply(status=500),
        3: Reply("no such model", status=404),
    }

    def answer(body: dict[str, Any]) -> Reply:
        i = number(body)
        asked[i] += 1
        if i % 20 == 0 and asked[i] == 1:  # one problem in twenty fails at first
            return faults[i // 20 % 4]
        if i in LONG:
            return Reply("and so on " * 50_000, 50, 100_000, finish_reason="length")
        if i in FOREIGN:
            return Reply("Das weiß ich leider nicht, aber es ist eine schöne Aufgabe.", 50, 20)
        return Reply(f"{i} + 2 = {i + 2}\nThe answer is {i + 2}.", 50, 20)

    data, folder, answers = tmp_path / "data", tmp_path / "traces", tmp_path / "answers"
    data.mkdir()
    folder.mkdir()
    problems = [
        Problem(id=f"p{i}", question=f"Anna has {i} shells and 2 more.", answer=str(i + 2))
        for i in range(300)
    ]
    for split in ("train", "validation", "test", "ood"):
        write_rows(data / f"{split}.jsonl", problems if split == "train" else [])
    with SimulatedServer(answer, slots=8, base_s=0.05) as server:
        endpoint = {"base_url": server.url, "model": "big", "concurrency": 8, "max_wait_s": 0.02}
        config = parse_config(
            {
                "name": "t",
                "data": {"type": "file", "path": "p", "columns": {"traces": []}},
                "traces": {"teacher": {"type": "endpoint", "endpoint": endpoint, "answers": str(answers)}},
            }
        )
        command = [sys.executable, "-c", RUN, str(data), str(folder), config.model_dump_json()]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

        received: dict[
            int, int
        ] = {}  # of what was on disk at a kill: how often it had been asked for by then
        peaks: list[float] = []
        for goal in (40, 110, 180):
            process = start()
            while len(whole_lines(answers)) < goal:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.02)
            peaks.append(peak_mb(process.pid))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            for i in whole_lines(answers):
                received.setdefault(i, asked[i])
        assert start().wait() == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["accepted"] == 294
    assert summary["reasons"] == {CUT_OFF: 3, NO_ANSWER: 3}
    assert 0 < max(*peaks, float((folder / "peak").read_text())) < 1000
    assert len(received) >= 180
    assert {i: asked[i] for i in received} == received
    # 300 problems, 15 first faults (i = 0, 20, ..., 280), and at most 8 under way at each of 3 kills
    assert 315 <= sum(asked.values()) <= 315 + 24
    assert sorted(whole_lines(answers)) == list(range(300))


def test_a_dry_run_says_what_it_would_take_and_sends_nothing(tmp_path: Path) -> None:
    rows = [{"question": f"Anna has {i} shells and finds 2 more.", "answer": str(i + 2)} for i in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with SimulatedServer(lambda body: Reply("no", status=500)) as server:
        (tmp_path / "t.yaml").write_text(
            f"""
name: t
data: {{type: file, path: {tmp_path}/rows.jsonl, columns: {{question: question, answer: answer}}, sizes: {{validation: 2, test: 2}}}}
traces:
  teacher:
    type: endpoint
    endpoint: {{base_url: "{server.url}", model: big}}
    answers: {tmp_path}/answers
    attempts: 3
    max_tokens: 100
    price: {{completion: 1000}}
    budget: {{requests: 29}}
"""
        )
        text = plan_text(str(tmp_path / "t.yaml"), [])
        assert server.seen == []
    assert "big: 10 problems, 1 to 3 samples each" in text
    # 10 first samples of 100 tokens at 1,000 a million cost 1, all 30 cost 3; 30 requests are more than 29
    assert "to ask for:     10 requests" in text and ", 1 USD, if every first sample is right" in text
    assert "at most:        30 requests" in text and ", 3 USD, retries not counted" in text
    assert "29 requests could be exceeded" in text
