"""The command line in this very process."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from talkies.cli.main import main


@pytest.fixture
def document_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function from the arguments of a `talkies` call that succeeds to the JSON document that it prints."""

    def call(*arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["talkies", *map(str, arguments), "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert left.value.code == 0, err
        return json.loads(out)

    return call
