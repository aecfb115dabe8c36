"""The commands that are given a model rather than a run's configuration: evaluate, export, serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from flows.cli import options
from flows.cli.options import ModelOverrides

ModelConfig = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="PRESET_OR_YAML",
        help="Says how the model is asked: sections student, traces.teacher and evaluate.",
    ),
]

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL [BENCHMARK...]",
        help="A run (RUN or RUN:base, RUN:warm_start, RUN:teacher), models:/NAME/VERSION, a checkpoint folder, a GGUF file, a "
        "Hugging Face id, builtin:NAME, or an endpoint http://HOST/v1#MODEL; then benchmarks beyond the first.",
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="MODEL",
        help="A further model, for the paired differences on the same problems. May be repeated.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(evaluate)
    app.command()(export)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)


def evaluate(
    model: Models,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on", metavar="BENCHMARK", help="NAME, or NAME=PATH of your own copy. May be repeated."
        ),
    ] = None,
    against: Against = None,
    problems: Annotated[
        int | None,
        typer.Option("--problems", min=1, help="Problems of each benchmark, drawn by seed. Default: all."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", min=0, help="Samples of each problem for avg@k, pass@k, majority@k; 0: greedy only."
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Temperature of the samples.")
    ] = None,
    lm_eval: Annotated[
        list[str] | None,
        typer.Option(
            "--lm-eval",
            metavar="TASK",
            help="A task of EleutherAI's lm-eval, or the path of a task file; needs rlkd[lm-eval]. May be repeated.",
        ),
    ] = None,
    config: ModelConfig = None,
    overrides: ModelOverrides = None,
    output: Annotated[
        str | None,
        options.folder_out(
            "Keeps answers and figures; models in one folder are shown side by side. Default: runs/evaluations."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Evaluate any model on benchmarks by name, with standard errors. The same command goes on after a failure."""
    from flows.cli.evaluate import evaluate_model

    settings = [*(overrides or ()), *_settings(problems, samples, temperature)]
    name, *more = model
    evaluate_model(
        name,
        _parts([*(on or ()), *more]),
        config,
        settings,
        output,
        as_json,
        _parts(lm_eval or ()),
        against or (),
    )


def _settings(problems: int | None, samples: int | None, temperature: float | None) -> list[str]:
    """What the options say, as settings."""
    settings = [] if problems is None else [f"evaluate.max_problems={problems}"]
    if samples is not None:
        powers = sorted({1, samples, *(k for k in (2, 4, 8, 16, 32, 64) if k <= samples)} - {0})
        settings += [
            f"evaluate.samples={samples}",
            f"evaluate.pass_at={powers}",
            "evaluate.pass_problems=null",
        ]
    if temperature is not None:
        settings.append(f"evaluate.temperature={temperature}")
    return settings


def _parts(texts: Iterable[str]) -> list[str]:
    """What is listed, apart or with commas."""
    return [part for text in texts for part in text.split(",") if part]


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run (RUN, RUN:base, RUN:warm_start), or models:/NAME/VERSION."),
    ],
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder; an earlier export is replaced.")],
) -> None:
    """Export a student with tokenizer, generation settings and model card; it loads with from_pretrained and in servers."""
    from flows.cli.export import export_model

    export_model(model, folder)


def serve(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="A run, a checkpoint folder, a GGUF file, a hub id, models:/NAME/VERSION or builtin:NAME; further options go to the "
            "engine's own command.",
        ),
    ],
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="transformers or vllm. Default: vllm where it is installed."),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Its port on 127.0.0.1.")] = 8000,
) -> None:
    """Serve a student with transformers' or vLLM's own OpenAI-compatible server, on this machine only, until Ctrl-C."""
    from flows.cli.export import serve_model

    serve_model(model, engine, port, list(context.args))
