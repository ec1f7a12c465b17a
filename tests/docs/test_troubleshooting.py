"""docs/troubleshooting.md has a remedy for every sentence of the source, and no sentence that there is not."""

import re
from pathlib import Path

import sentences

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
ROW = re.compile(r"^\| (`.*?`) \| (.+) \|$", re.MULTILINE)


def entries() -> list[str]:
    """The sentences of the page."""
    rows = [match[1].replace(r"\|", "|") for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    return [entry for row in rows for entry in re.findall(r"`([^`]+)`", row)]


def named(sentence: sentences.Sentence) -> set[str]:
    """How a sentence may be written there: whole, or without what to do, if that tells it from others."""
    return {sentence.text, *([sentence.head] if re.search(r"\w", sentence.head) else [])}


def test_every_sentence_has_a_remedy() -> None:
    there = set(entries())
    missing = [f"{each.where}: {each.head}" for each in sentences.sentences() if not named(each) & there]
    assert missing == [], "give each a row, or an entry in one, in docs/troubleshooting.md"


def test_no_sentence_is_left_over() -> None:
    said = {name for each in sentences.sentences() for name in named(each)}
    assert [entry for entry in entries() if entry not in said] == []


def test_no_entry_is_there_twice_but_with_what_to_do() -> None:
    there = entries()
    assert sorted({entry for entry in there if there.count(entry) > 1}) == []


def test_every_row_has_a_remedy_of_its_own() -> None:
    remedies = [match[2] for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    assert len(remedies) > 100
    assert [text for text in remedies if len(text) < 12] == []


def test_the_collector_reads_what_it_must() -> None:
    heads = {each.head for each in sentences.sentences()}
    assert {
        "… has no embeddings yet",  # a literal
        "… cannot give … a batch: …",  # from a method
        "decoding took … MB of memory",  # from a tuple
        "… is not …, or is damaged…",  # of a class that is given
        "hop must not exceed …, got … and …",  # of a config's check
        "this server does not answer to that name",  # a constant
    } <= heads
    assert len(heads) > 350
