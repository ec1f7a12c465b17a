"""talkies: learn what pictures and sounds mean from films nobody labelled, and search them.

These names are the stable Python interface; everything behind them may move between versions. Each is imported at its
first use, because PyTorch takes seconds to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkies.analysis import analyse
    from talkies.core import TalkiesError
    from talkies.evaluation import evaluate
    from talkies.evaluation.audit import audit
    from talkies.ingestion import ingest
    from talkies.library import Library
    from talkies.retrieval.index import embed
    from talkies.retrieval.search import Searcher, search
    from talkies.runs import load_encoder
    from talkies.training import pretrain

__version__ = "0.1.0"

__all__ = [
    "Library",
    "Searcher",
    "TalkiesError",
    "__version__",
    "analyse",
    "audit",
    "embed",
    "evaluate",
    "ingest",
    "load_encoder",
    "pretrain",
    "search",
]

_PACKAGE_OF = {
    "Library": "talkies.library",
    "Searcher": "talkies.retrieval.search",
    "TalkiesError": "talkies.core",
    "analyse": "talkies.analysis",
    "audit": "talkies.evaluation.audit",
    "embed": "talkies.retrieval.index",
    "evaluate": "talkies.evaluation",
    "ingest": "talkies.ingestion",
    "load_encoder": "talkies.runs",
    "pretrain": "talkies.training",
    "search": "talkies.retrieval.search",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _PACKAGE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_PACKAGE_OF[name]), name)
    except ModuleNotFoundError as error:
        from talkies.core.extras import explain_missing_package

        sentence = explain_missing_package(error)
        if sentence is None:
            raise
        raise ModuleNotFoundError(f"talkies.{name}: {sentence}", name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
