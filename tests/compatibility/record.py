"""Record what talkies wrote and answered before its packages and names changed (commit 83488d5).

    git checkout 83488d5 && python record.py FOLDER OUTPUT

Two short rendered films, the library, a run, an index and an exported model go to OUTPUT/artefacts.tar.xz, and the
answers to OUTPUT/answers.json. Random weights do not compress, so none are kept: they are drawn from a seed
(`weights.py`), by the old code here and by the test before it opens the artefacts.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from weights import drawn_weights

SETTINGS = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=4",
    "model.embedding_dim=32",
    "model.hidden_dim=32",
    "training.trackers=[]",
    "loader.workers=0",
)


def talkies(*words: str) -> str:
    command = [sys.executable, "-m", "talkies", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def redraw(file: Path, seed: int) -> str:
    """Replace the model's weights in a file by drawn ones; return their stamp."""
    from talkies.models import stamp_of_weights  # of the old commit

    with safe_open(file, "pt") as opened:
        shapes = {name: list(opened.get_tensor(name).shape) for name in opened.keys()}  # noqa: SIM118
        kinds = {name: str(opened.get_tensor(name).dtype) for name in opened.keys()}  # noqa: SIM118
    weights = drawn_weights(shapes, kinds, seed)
    save_file(weights, file, {"format": "pt"})
    (file.with_suffix(".shapes.json")).write_text(json.dumps({"seed": seed, "shapes": shapes, "kinds": kinds}))
    return stamp_of_weights({n.removeprefix("model."): t for n, t in weights.items() if n.startswith("model.")})


def main(folder: Path, output: Path) -> None:
    import os

    os.chdir(folder)
    talkies("render", "films", "--films", "2", "--seconds", "6", "--seed", "5")
    talkies("ingest", "films", "--library", "old/library")
    common = [word for setting in SETTINGS for word in ("--set", setting)]
    for run in ("run", "begun"):
        talkies("pretrain", "--library", "old/library", "--recipe", "tiny", "--run", f"old/{run}", *common)
    begun = Path("old/begun/checkpoints")
    subprocess.run(["rm", "-r", begun / "step-00000002"], check=True)
    redraw(begun / "step-00000000/model.safetensors", 0)
    metrics = Path("old/begun/metrics.jsonl")
    metrics.unlink()
    for step in (0, 2):
        checkpoint = Path(f"old/run/checkpoints/step-{step:08d}")
        stamp = redraw(checkpoint / "model.safetensors", step)
        (checkpoint / "optimiser.safetensors").unlink()
        state = json.loads((checkpoint / "state.json").read_text())
        (checkpoint / "state.json").write_text(json.dumps(state | {"stamp": stamp}))
    talkies("embed", "--library", "old/library", "--run", "old/run")
    talkies("export", "--run", "old/run", "--to", "old/exported")

    resumed = Path("resumed")
    subprocess.run(["cp", "-r", "old/begun", resumed], check=True)
    talkies("pretrain", "--library", "old/library", "--recipe", "tiny", "--run", str(resumed), "--resume", *common)
    clip = sorted(Path("old/library/films").glob("*/proxy.mp4"))[0]
    moment = ("--film", "film-000.mp4", "--at", "3", "--weak")
    search = ("search", "--library", "old/library", "--json")

    from talkies import load_encoder

    encoded = load_encoder("old/exported").encode_file(clip)
    answers = {
        "films": json.loads(talkies("films", "--library", "old/library", "--json")),
        "search by a moment": json.loads(talkies(*search, *moment)),
        "search by sound": json.loads(talkies(*search, *moment, "--from", "audio", "--to", "video")),
        "search by a file": json.loads(talkies(*search, "--file", str(clip), "--weak")),
        "retrieval": json.loads(
            talkies("evaluate", "retrieval", "--run", "old/run", "--data", "old/library", "--json")
        ),
        "repeats": json.loads(talkies("repeats", "--library", "old/library", "--json")),
        "losses": [json.loads(line) for line in (resumed / "metrics.jsonl").read_text().splitlines()],
        "encoded file": {
            "starts": encoded.start_B.tolist(),
            "video": np.round(encoded.video_BD, 6).tolist(),
            "audio": np.round(encoded.audio_BD, 6).tolist(),
        },
    }
    (output / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
    for name in ("video", "audio"):
        Path(f"old/exported/{name}.safetensors").unlink()
    for weights in Path("old").rglob("model.safetensors"):
        if not weights.with_suffix(".shapes.json").exists():  # the exported model has the run's
            source = Path("old/run/checkpoints/step-00000002/model.shapes.json")
            weights.with_suffix(".shapes.json").write_text(source.read_text())
        weights.unlink()
    with tarfile.open(output / "artefacts.tar.xz", "w:xz") as archive:
        archive.add("old")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
