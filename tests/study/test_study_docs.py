"""What docs/study.md says is what the kept results say."""

import re
from pathlib import Path

import pytest

import study_doc
from talkies.study import StudyResults
from talkies.study.findings import list_findings


@pytest.mark.parametrize("scale", study_doc.written_scales())
def test_the_page_is_written_from_the_kept_results(scale: str) -> None:
    results = StudyResults.model_validate_json(study_doc.kept(scale).read_text(encoding="utf-8"))
    page = study_doc.PAGE.read_text(encoding="utf-8")
    begin, end = study_doc.markers(scale)
    text = page.split(begin)[1].split(end)[0]
    where = re.search(r"(?:minutes|sitting) on (.+?)\. Shares", text)
    assert where
    assert text.strip() == study_doc.section(results, where[1]).strip()
    for finding in list_findings(results):
        assert (study_doc.FIGURES / f"{scale}-{finding.figure}.png").is_file()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page)
    assert all((Path(study_doc.PAGE).parent / link).exists() for link in links)


def test_the_map_is_on_the_page() -> None:
    assert "small" in study_doc.written_scales()
