"""`talkies audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    ModelChoice,
    RunChoice,
    TrustCode,
    choose_model,
    print_json,
    print_table,
    print_text,
    progress_bars,
    say,
    say_model,
)

if TYPE_CHECKING:
    from talkies.evaluation.audit.values import Audit


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(audit)


def audit(
    library: LibraryFolder,
    *,
    run: RunChoice = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    step: Annotated[int | None, typer.Option("--step", help="A checkpoint's step.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The report, an HTML file.", show_default="RUN/audit.html, or results/audits/"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random draws: films and resamples.")] = 0,
    json: Json = False,
) -> None:
    """Check whether a model merely recognises films or tells their moments apart; writes a page and its numbers."""
    from talkies.cli.documents import audit_document
    from talkies.evaluation.audit import audit as run_audit
    from talkies.evaluation.audit import report_path, write_audit

    named = choose_model(run, model)
    path = report_path(named, to)
    with progress_bars() as bars:
        done: list[str] = []

        def on_film(name: str, total: int) -> None:
            done.append(name)
            bars.update("films encoded", len(done), total, name)

        report = run_audit(named, library, step, seed, on_film)
    write_audit(report, path)
    say_model(report.run, report.trained.model_stamp, report.license)
    if json:
        print_json(audit_document(report))
        return
    _print_audit(report)
    say(f"The report: {path}")


def _print_audit(report: "Audit") -> None:
    from talkies.evaluation.audit.tables import make_sections, name_columns

    print_text(report.words)
    if report.sampling:
        print_text(" ".join([report.sampling.words, *report.sampling.unknown]))
    numbers = (*name_columns(report), "chance")
    for section in make_sections(report):
        rows = [(row.what, row.untrained, row.trained, row.chance) for row in section.rows]
        print_table(section.title, ("what", *numbers), rows, numbers)
