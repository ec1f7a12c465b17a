"""The code blocks of a page of Markdown: what they are, and why some are not run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL, PYTHON, JSON, YAML, DRAWING = "sh", "python", "json", "yaml", "drawing"
FENCES = {"sh": SHELL, "python": PYTHON, "json": JSON, "yaml": YAML, "text": DRAWING, "toml": DRAWING}
# By these an indented block is known as commands; any other is a drawing, a formula or a list of files.
COMMANDS = ("talkies ", "TALKIES_", "torchrun ", "make ", "pip ", "ray ", "ssh ", "apt ", "git ", "export ", ".venv/")
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
_ITEM = re.compile(r"\s*([-*]|\d+\.) ")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code on a page: its first line's number, its kind, its text, and why it is not run, if it is not."""

    page: str
    line: int
    kind: str
    text: str
    not_run: str | None = None

    @property
    def where(self) -> str:
        """Where it stands, as an editor opens it."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The commands of a shell block, in words."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in order.

    A comment `<!-- not run: why -->` before a block keeps it from being run.
    """
    return list(_blocks(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    number, reason, in_list = 0, None, False
    while number < len(lines):
        line, begin = lines[number], number + 1
        number += 1
        if found := _NOT_RUN.fullmatch(line):
            reason = found[1]
        elif line.startswith("```"):
            end = lines.index("```", number)
            yield Block(page, begin, FENCES[line[3:]], _text(lines[number:end]), reason)
            number, reason = end + 1, None
        elif line.startswith("    ") and not in_list and not lines[number - 2].strip():
            end = next((n for n in range(number, len(lines)) if not lines[n].startswith("    ")), len(lines))
            text = _text([each.removeprefix("    ") for each in lines[number - 1 : end]])
            yield Block(page, begin, SHELL if text.startswith(COMMANDS) else DRAWING, text, reason)
            number, reason = end, None
        elif line.strip():
            in_list = bool(_ITEM.match(line)) or (in_list and line.startswith("  "))
            reason = None


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
