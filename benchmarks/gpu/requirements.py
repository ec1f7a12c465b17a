"""What must be installed: which packages are missing, in one sentence, and what of a checkout takes their place."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from importlib import import_module
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
_NOTED = {"talkies": "talkies", "lightning-fabric": "lightning_fabric", "scenedetect-headless": "scenedetect"}
"""What runs and films note the version of, and may be there without metadata."""


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

    A folder of metadata in the temporary folder does that, for this process and for those that it starts; also for
    packages that came as a part of another one.
    """
    paths = [str(ROOT / "src"), str(ROOT / "benchmarks")]
    unknown = [(package, module) for package, module in _NOTED.items() if not _has_metadata(package)]
    if unknown:
        site = Path(tempfile.mkdtemp(prefix="talkies-versions-"))
        atexit.register(shutil.rmtree, site, ignore_errors=True)
        for package, module in unknown:
            number = import_module(module).__version__
            metadata = site / f"{package.replace('-', '_')}-{number}.dist-info" / "METADATA"
            metadata.parent.mkdir()
            metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n", encoding="utf-8")
        paths.append(str(site))
        sys.path.append(str(site))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *([before] if before else [])])


def _has_metadata(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
