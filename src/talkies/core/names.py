r"""Names of files as text: a form that any encoding can hold, a form that is safe to show, and a form to compare.

A file name is bytes, and any bytes but `/` and NUL are allowed: ones that are not UTF-8, line breaks, the escape
sequences of terminals. Three forms are made of it:

    path                  the bytes  caf E9 ESC .mp4    as Python has them: a str with lone surrogates
    text, `path_to_text`  caf\xe9 ESC .mp4              valid Unicode, for documents and tables
    shown, `format_path`  caf\xe9\x1b.mp4               without control characters, for people
"""

import os
import re
import shlex
import unicodedata
from pathlib import Path

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: line breaks, tabs, and what terminals obey
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # characters that change the direction of text
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # separators of lines and paragraphs, invisible marks
    "\ud800-\udfff]"  # halves of characters
)
_CONTROL_EXCEPT_NEWLINE = re.compile(_CONTROL.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
_ESCAPED_BYTES = re.compile(rb"\\x([89a-f][0-9a-f])")


def path_to_text(path: str | os.PathLike[str]) -> str:
    r"""Return a path as valid Unicode text: bytes that are not UTF-8 are written as `\xe9`, all else is kept.

    The text does not depend on the locale.
    """
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # it did not come from this system: a URL, or a name that a program made up
        return replace_surrogates(os.fspath(path))


def text_to_path(text: str) -> Path:
    """Return the path on this machine that a text of `path_to_text` stands for.

    A backslash in the text may be the name's own: the literal path is preferred if it exists.
    """
    data = text.encode("utf-8", "surrogateescape")
    literal = Path(os.fsdecode(data))
    return literal if os.path.lexists(literal) else Path(os.fsdecode(_restore_bytes(data)))


def replace_surrogates(text: str) -> str:
    r"""Return text with the lone surrogates, which no encoding can hold, written as `\xe9` (a byte) or `\ud800`."""
    return _SURROGATE.sub(_escape_match, text)


def escape_controls(text: str, *, keep_newlines: bool = False) -> str:
    r"""Return text with its control characters written as `\x1b` or `\u202e`, so that it is safe to show.

    These are the characters that terminals obey, line breaks, tabs, and those that reverse the direction of text.
    """
    return (_CONTROL_EXCEPT_NEWLINE if keep_newlines else _CONTROL).sub(_escape_match, text)


def escape_json(document: str) -> str:
    r"""Return a JSON document without control characters and lone surrogates; the former are written as `\u001b`."""
    return _CONTROL_EXCEPT_NEWLINE.sub(_escape_json_match, document)


def format_path(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that is safe to show: control characters, and bytes that are not UTF-8, as `\x1b`."""
    return escape_controls(path_to_text(path))


def quote_path(text: str) -> str:
    r"""Return a path, as `path_to_text` gives it, as one word of a shell command; `$'…'` holds what cannot be shown."""
    path = os.fsencode(text_to_path(text)).decode("utf-8", "surrogateescape")
    if not _CONTROL.search(path):
        return shlex.quote(path)
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{escape_controls(escaped)}'"


def normalize_name(text: str) -> str:
    """Return the form in which names are compared: NFC, so that one letter has one spelling."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def replace_undecodable(text: str) -> str:
    r"""Return text with a question mark in a diamond for each `\xe9`, as libraries of earlier versions hold names."""
    return _restore_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace") if "\\x" in text else text


def _restore_bytes(data: bytes) -> bytes:
    return _ESCAPED_BYTES.sub(lambda match: bytes.fromhex(match[1].decode()), data)


def _escape_match(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # stands for a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _escape_json_match(match: re.Match[str]) -> str:
    if _SURROGATE.match(match[0]):  # no encoding holds it: `\xe9` as text, with the backslash escaped
        return f"\\{_escape_match(match)}"
    return f"\\u{ord(match[0]):04x}"
