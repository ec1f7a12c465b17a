"""What docs/study.md says is what the kept results say."""

import re
from pathlib import Path

import study_doc
from talkies.study import StudyResults
from talkies.study.findings import list_findings


def test_the_page_is_written_from_the_kept_results() -> None:
    results = StudyResults.model_validate_json(study_doc.kept("small").read_text(encoding="utf-8"))
    page = study_doc.PAGE.read_text(encoding="utf-8")
    text = page.split(study_doc.BEGIN)[1].split(study_doc.END)[0]
    where = re.search(r"(?:minutes|sitting) on (.+?)\. Shares", text)
    assert where
    assert text.strip() == study_doc.section(results, where[1]).strip()
    for finding in list_findings(results):
        assert (study_doc.FIGURES / f"{finding.figure}.png").is_file()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page)
    assert all((Path(study_doc.PAGE).parent / link).exists() for link in links)
