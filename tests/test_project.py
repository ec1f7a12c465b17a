"""The project as a whole: what it ships, and that it speaks of itself alone."""

import subprocess
from importlib.metadata import metadata, version
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def test_the_installed_package_bears_its_licence_and_version() -> None:
    assert metadata("talkies")["License-Expression"] == "Apache-2.0"
    assert version("talkies") == yaml.safe_load(_changelog_version())


def test_constraints_pin_every_dependency_exactly() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    needed = metadata("talkies").get_all("Requires-Dist") or ()
    names = {_normal(Requirement(entry).name) for entry in needed}
    assert names <= {_normal(name) for name in pins}


def test_recipes_and_templates_travel_with_the_package() -> None:
    assert (files("talkies.recipes") / "tiny.yaml").is_file()
    assert (files("talkies.study") / "templates" / "demo.html").is_file()
    assert (files("talkies.ingestion") / "templates" / "ingest.html").is_file()
    assert (files("talkies.reporting") / "templates" / "page.html").is_file()
    assert (files("talkies.export") / "templates" / "card.md").is_file()
    assert (files("talkies.web") / "static" / "index.html").is_file()


def test_no_file_names_a_machine_of_its_makers() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    forbidden = ["/" + "work/", "/" + "root/", "file:" + "///opt"]
    for name in filter(None, tracked.split("\0")):
        text = (ROOT / name).read_bytes().decode("utf-8", errors="ignore")
        assert not [word for word in forbidden if word in text], name


def _changelog_version() -> str:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("## ")).split()[1]


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")
