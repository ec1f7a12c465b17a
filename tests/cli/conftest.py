"""The command line in this very process, and a workspace with all that its verbs work on."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from talkies.cli.main import main
from talkies.library import SCHEMA_VERSION, Library
from talkies.retrieval.index import embed
from talkies.training import RunConfig, pretrain


@dataclass(frozen=True)
class Outcome:
    """What a call of the command came to."""

    status: int
    out: str
    err: str


Talkies = Callable[..., Outcome]


@pytest.fixture
def talkies(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Talkies:
    """The `talkies` command: a function from its arguments to what it came to."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["talkies", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Outcome(left.value.code, out, err)

    return call


@pytest.fixture(scope="session")
def workspace(
    library: Library, films: Path, two_steps: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What verbs work on; read only.

    `films` (rendered, with truth), `lib` (ingested, embedded with `run`), `run`, `other-run` (another seed),
    `begun-run` (no checkpoint), `newer-lib` (of a later version), `empty` (a folder), `letter.mp4` (a text).
    """
    root = tmp_path_factory.mktemp("workspace")
    shutil.copytree(films, root / "films")
    shutil.copytree(library.root, root / "lib")
    for name, seed in (("run", 0), ("other-run", 1)):
        pretrain(root / "lib", two_steps(f"training.seed={seed}"), root / name)
    embed(root / "lib", root / "run")
    shutil.copytree(root / "run", root / "begun-run", ignore=shutil.ignore_patterns("checkpoints"))
    Library.create(root / "newer-lib")
    description = root / "newer-lib" / "library.json"
    description.write_text(
        description.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99')
    )
    (root / "empty").mkdir()
    (root / "letter.mp4").write_text("Dear film, I am a text.")
    return root
