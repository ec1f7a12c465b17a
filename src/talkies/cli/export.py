"""`talkies export`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, ModelChoice, TrustCode, choose_optional_model, print_json, say
from talkies.core import UsageError, format_count

_FORMATS = "For a run: safetensors (always written), onnx, hub; repeatable. For a library: parquet, npy."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)


def export(
    to: Annotated[Path, typer.Option("--to", help="The folder (or the .parquet file) to write.", show_default=False)],
    *,
    run: Annotated[
        Path | None, typer.Option("--run", "--run-folder", help="The run; with --library, the run that embedded it.")
    ] = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    library: Annotated[str | None, typer.Option("--library", help="Write this library's embeddings instead.")] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help=_FORMATS, show_default=False)] = None,
    step: Annotated[
        int | None, typer.Option("--step", help="The step of the checkpoint; the newest by default.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of the results for the model card. [default: the run's folder]"),
    ] = None,
    weights_license: Annotated[
        str | None, typer.Option("--license", help="The licence of the weights, as Hugging Face names it.")
    ] = None,
    json: Json = False,
) -> None:
    """Export a run's model as a self-contained folder, or a library's embeddings as a table."""
    from talkies.cli.documents import export_document, vectors_document
    from talkies.export import export_run, export_vectors

    if library is not None:
        if any(option is not None for option in (step, results, weights_license)) or len(formats or ()) > 1:
            raise UsageError("embeddings are written in one --format, without --step, --results and --license")
        chosen_set = choose_optional_model(run, model)
        vectors = export_vectors(library, to, formats[0] if formats else "parquet", chosen_set)
        files, document = vectors.files, vectors_document(vectors)
        counts = f"{format_count(vectors.clips, 'clip')} of {format_count(vectors.films, 'film')}"
        summary = f"{counts}, of model {vectors.entry.stamp} ({vectors.entry.run})"
    elif model is not None:
        raise UsageError(
            f"{model} is not a run: its weights are where they came from; write the embeddings that it gave a library "
            "with --library, or name a run with --run"
        )
    elif run is not None:
        chosen = formats or ("safetensors",)
        exported = export_run(run, to, chosen, step, results=results, weights_license=weights_license)
        files, document = exported.files, export_document(exported)
        summary = f"model {exported.stamp}, with {format_count(exported.results, 'result')} in its card"
    else:
        raise UsageError("there is nothing to export; name a run with --run, or a library with --library")
    if json:
        print_json(document)
    else:
        say(f"{', '.join(path.name for path in files)} in {files[0].parent}: {summary}")
