"""What verbs print: names as they are, whatever signs they have."""

import pytest

from talkies.cli.output import Bars, print_table, progress_bars


@pytest.mark.parametrize("name", ["Film [x264].mkv", "Film [eng] (2019).mkv", "[/x] end.mkv", "a :cat: film.mkv"])
def test_a_name_with_signs_of_markup_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(f"Films of {name}", ("film", "clips"), [(name, "3")], numbers=("clips",))
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"Films of {name}"
    assert any(name in line for line in lines)


def test_so_is_the_note_of_a_progress_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as bars:
        assert isinstance(bars, Bars)
        bars.update("films", 1, 2, "[/x] Film [x264].mkv")
    assert "[/x] Film [x264].mkv" in " ".join(capsys.readouterr().err.split())
