"""Names as text, as they are shown, and as commands: families over any Unicode text and any bytes."""

import json
import os
import shlex
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import (
    escape_controls,
    escape_json,
    format_path,
    normalize_name,
    path_to_text,
    quote_path,
    text_to_path,
)

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates too
FILE_NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, ord("/")} & set(name))
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_safe(text: str) -> bool:
    """Whether a text has no control characters, line breaks, changes of direction or halves of characters."""
    return not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in DIRECTIONS for char in text)


@given(FILE_NAMES)
def test_any_bytes_become_text_that_can_be_encoded_and_is_shown_safely(name: bytes) -> None:
    path = os.fsdecode(name)
    path_to_text(path).encode()
    format_path(path).encode()
    assert is_safe(format_path(path))


@given(ANY_TEXT)
def test_any_text_is_shown_safely(text: str) -> None:
    shown = escape_controls(text)
    assert is_safe(shown)
    assert escape_controls(shown) == shown
    if (
        is_safe(text)
        and "\ufeff" not in text
        and not set(text) & set(map(chr, (*range(0x206A, 0x2070), *range(0xFFF9, 0xFFFC))))
    ):
        assert shown == text
    path_to_text(text).encode()
    format_path(text).encode()


@given(ANY_TEXT)
def test_a_json_document_is_safe_to_show_and_still_the_same_document(text: str) -> None:
    shown = escape_json(json.dumps({"name": text}, indent=2, ensure_ascii=False))
    assert is_safe(shown.replace("\n", ""))
    value = json.loads(shown)["name"]
    value.encode()
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert value == text


@given(FILE_NAMES)
@settings(max_examples=200)
def test_text_leads_back_to_the_path_unless_the_name_spells_a_byte_itself(name: bytes) -> None:
    path = Path("/no such folder", os.fsdecode(name))
    if b"\\x" not in name:
        assert text_to_path(path_to_text(path)) == path


def test_a_name_that_spells_a_byte_itself_is_found_by_its_file(tmp_path: Path) -> None:
    literal, latin = tmp_path / r"caf\xe9.mp4", tmp_path / "caf\udce9.mp4"
    latin.touch()
    assert text_to_path(path_to_text(latin)) == latin
    literal.touch()
    assert text_to_path(path_to_text(literal)) == literal


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("esc\x1b[31m.mp4", "esc\x1b[31m.mp4", r"esc\x1b[31m.mp4"),
        ("new\nline\t.mp4", "new\nline\t.mp4", r"new\x0aline\x09.mp4"),
        ("csi\x9b1m.mp4", "csi\x9b1m.mp4", r"csi\x9b1m.mp4"),
        ("\u202egpj\u200f.mp4", "\u202egpj\u200f.mp4", r"\u202egpj\u200f.mp4"),
        ("caf\udce9.mp4", r"caf\xe9.mp4", r"caf\xe9.mp4"),
        ("\ud800.mp4", r"\ud800.mp4", r"\ud800.mp4"),
        ("Amélie \N{CLAPPER BOARD} 日本.mp4", "Amélie \N{CLAPPER BOARD} 日本.mp4", "Amélie \N{CLAPPER BOARD} 日本.mp4"),
        (r"\back\slash.mp4", r"\back\slash.mp4", r"\back\slash.mp4"),
    ],
)
def test_control_characters_and_bytes_are_written_as_escapes(name: str, text: str, shown: str) -> None:
    assert (path_to_text(name), format_path(name)) == (text, shown)


@given(ANY_TEXT)
def test_one_letter_has_one_spelling(text: str) -> None:
    forms = {normalize_name(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {normalize_name(text)}


@pytest.mark.parametrize(
    "name", ["a.mp4", "two words.mp4", "it's.mp4", "esc\x1b[1m\n it's \\.mp4", "caf\udce9.mp4", "\u202e.mp4"]
)
def test_a_shell_reads_a_quoted_name_as_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    word = quote_path(path_to_text(path))
    assert is_safe(word)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    printed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env=environment)
    assert printed.stdout == os.fsencode(path)
    if name.isascii() and name.isprintable():
        assert word == shlex.quote(str(path))
