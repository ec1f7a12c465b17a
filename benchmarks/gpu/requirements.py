"""What must be installed: which packages are missing, in one sentence, and what of a checkout takes their place."""

import importlib.util
import os
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "torch": "torch",
    "av": "av",
    "fsspec": "fsspec",
    "jinja2": "jinja2",
    "lightning_fabric": "lightning-fabric",
    "numpy": "numpy",
    "PIL": "pillow",
    "psutil": "psutil",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "rich": "rich",
    "safetensors": "safetensors",
    "scenedetect": "scenedetect-headless",
    "typer": "typer",
    "yaml": "pyyaml",
}
"""The packages that every part needs, by the name of their module. LanceDB and TensorBoard are not among them."""


def list_missing(modules: dict[str, str]) -> list[str]:
    """Return the packages of those modules that Python does not find."""
    return [package for module, package in modules.items() if importlib.util.find_spec(module) is None]


def explain_missing(packages: list[str]) -> str:
    """Return the sentence that says what is missing, and how to install it with and without a network."""
    names = " ".join(packages)
    return (
        f"{sys.executable} lacks {', '.join(packages)}: pip install {names}; without a network, "
        f"pip download --dest wheels {names} elsewhere, bring the folder, and pip install --no-index "
        f"--find-links wheels {names}"
    )


def describe_installation() -> None:
    """Give talkies the version of its source if it is not installed: runs and films note it.

    A folder of metadata in the temporary folder does that, for this process and for those that it starts.
    """
    paths = [str(ROOT / "src"), str(ROOT / "benchmarks")]
    try:
        version("talkies")
    except PackageNotFoundError:
        from talkies import __version__

        site = Path(tempfile.mkdtemp(prefix="talkies-version-"))
        metadata = site / f"talkies-{__version__}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: talkies\nVersion: {__version__}\n", encoding="utf-8")
        paths.append(str(site))
        sys.path.append(str(site))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *([before] if before else [])])
