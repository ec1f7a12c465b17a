"""Every sentence that an error of talkies can have, from the source: its literal parts, and … for the rest."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import talkies
from talkies.core import TalkiesError

SOURCE = Path(talkies.__file__).parent
REST = "…"

# Functions that return the sentence of an error, or of an answer of the page.
TELLERS = {
    "core/failures.py": ("explain_failure",),
    "runtime/rank_watch.py": ("_describe_killed",),
    "clips/source.py": ("_describe",),
    "library/profile.py": ("describe_shortfall",),
    "sampling/plan.py": ("_describe_short_films",),
    "training/not_finite.py": ("write_not_finite",),
    "training/features/feature_store.py": ("_describe",),
    "retrieval/search/query.py": ("no_hits_reason",),
    "web/errors.py": ("format_validation_error", "_handle_http_error"),
    "web/guard.py": ("_find_site_error",),
    "models/registry.py": ("_check_encoder_name",),
    "runs/texts.py": ("explain_no_words",),
}
# Where the whole sentence comes from elsewhere, and is found there.
PASSED_ON = {
    "evaluation/datasets/lists.py": "told by those who call refusal",
    "clips/source.py": "told by _describe",
    "config/read.py": "told by the checks of the config",
    "runtime/isolation.py": "told in the same function",
    "runs/clip_encoder.py": "told by the callers",
    "ingestion/film.py": "told by the isolated worker",
    "media/cuda_reader.py": "told by those who call _create_error",
    "media/proxy_reader.py": "told by those who call _create_error",
    "media/video_reader.py": "told by those who call _create_error",
    "sampling/plan.py": "told by _describe_short_films",
    "training/loop.py": "told by pretrain",
    "training/pretrain.py": "told by the reader of clips",
    "training/ranks/group.py": "told by the rank that failed",
    "training/ranks/ray_train.py": "told by the rank that failed",
    "training/features/feature_store.py": "told by _describe",
    "retrieval/index/embedding_set.py": "told by explain_no_words",
    "runs/needs.py": "told by describe_shortfall",
    "web/served_library.py": "the library's own",
    "web/uploads.py": "the decoder's own",
}
_OF_A_LINE = "…, line …, …; take the publishers' own list"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with … for what varies, and the file that says it."""

    text: str
    where: str

    @property
    def head(self) -> str:
        """What is wrong, without what to do."""
        return self.text.partition("; ")[0]


@dataclass(frozen=True)
class Module:
    """A file of the source."""

    name: str
    tree: ast.Module

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """The texts that have a name in the file."""
        pairs = [
            (node.targets[0], node.value)
            for node in self.tree.body
            if isinstance(node, ast.Assign) and len(node.targets) == 1
        ]
        return {name.id: value for name, value in pairs if isinstance(name, ast.Name) and _is_text(value)}

    @cached_property
    def calls(self) -> dict[str, list[list[ast.expr]]]:
        """What the functions of the file are called with there, by their names."""
        calls: dict[str, list[list[ast.expr]]] = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Call(func=ast.Name(id=name), args=given):
                    calls.setdefault(name, []).append(given)
        return calls

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions, also inner ones."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def texts(self, node: ast.expr | None, local: dict[str, list[ast.expr]], deep: int = 0) -> list[str]:
        """Return what an expression can say."""
        match node:
            case ast.Constant(value=str() as text):
                return [text]
            case ast.JoinedStr(values=parts):
                return _joined([self._part(part, local, deep) for part in parts])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([self.texts(left, local, deep), self.texts(right, local, deep)])
            case ast.IfExp(body=one, orelse=other):
                return self.texts(one, local, deep) + self.texts(other, local, deep)
            case ast.Tuple(elts=[*_, last]) | ast.Starred(value=last):
                return self.texts(last, local, deep)
            case ast.Name(id=name) if deep < 2 and (name in local or name in self.constants):
                values = local.get(name) or [self.constants[name]]
                return [text for value in values for text in self.texts(value, local, deep + 1)]
            case _:
                return [REST]

    def _part(self, part: ast.expr, local: dict[str, list[ast.expr]], deep: int) -> list[str]:
        if isinstance(part, ast.FormattedValue):
            said = self.texts(part.value, local, deep + 1)
            constant = isinstance(part.value, ast.Name) and part.value.id in self.constants
            plain = all(text and REST not in text for text in said)
            return said if constant or plain else [REST]  # what varies stays …
        return self.texts(part, local, deep)


@cache
def sentences() -> list[Sentence]:
    """Return every sentence of the source, each once a file."""
    modules = [
        Module(path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SOURCE.rglob("*.py"))
    ]
    names = _error_names(modules)
    found: dict[Sentence, None] = {}
    for module in modules:
        for text in _said(module, names):
            sentence = Sentence(_plain(text), module.name)
            if re.search(
                r"\w", sentence.text.replace(f"{REST}, line {REST}, {REST}; take the publishers' own list", "")
            ):
                found[sentence] = None
            elif module.name not in PASSED_ON:
                raise AssertionError(f"{module.name} raises what this cannot read; name its teller in TELLERS")
    return list(found)


def _said(module: Module, names: set[str]) -> Iterator[str]:
    told = TELLERS.get(module.name, ())
    for function in module.functions:
        local = _local(module, function)
        for node in ast.walk(function):  # what an inner function says comes twice, and counts once
            yield from _raised(module, node, local, names)
            if function.name in told:
                yield from _returned(module, node, local)
        if function.name in told:
            yield from _refused(module, function)
    for owner in ast.walk(module.tree):
        if isinstance(owner, ast.ClassDef) and _is_config(owner):
            yield from _refused(module, owner)


def _raised(module: Module, node: ast.AST, local: dict[str, list[ast.expr]], names: set[str]) -> Iterator[str]:
    """Yield what is said where an error is made, or the page refuses, or the command leaves."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[*_, last]) if name in names | {"error_type"}:
            yield from module.texts(last, local)
        case ast.Call(func=ast.Name(id="build_error_response" | "_leave"), args=given):
            yield from [text for each in given for text in module.texts(each, local) if len(text.split()) > 2]
        case ast.Call(func=ast.Attribute(attr="_create_error"), args=[_, message]):  # of a proxy's reader
            yield from [f"{REST} {text}; {REST}" for text in module.texts(message, local)]
        case ast.Call(func=ast.Attribute(attr="error"), args=[why]):  # of a line of a list
            yield from [f"{REST}, line {REST}, {text}" for text in module.texts(why, local)]


def _returned(module: Module, node: ast.AST, local: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Yield what a teller says."""
    match node:
        case ast.Dict(values=values):
            yield from [text for value in values for text in module.texts(value, local) if text != REST]
        case ast.Return(value=value):
            parts = value.elts if isinstance(value, ast.Tuple) else [value]
            yield from [text for part in parts for text in module.texts(part, local) if len(text.split()) > 2]


def _refused(module: Module, owner: ast.AST) -> Iterator[str]:
    """Yield what the checks of a config say, which `ConfigError` passes on."""
    for node in ast.walk(owner):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ValueError":
            yield from module.texts(node.args[0], {})


def _local(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, list[ast.expr]]:
    """Return what names in a function can be: what is assigned there, or given by callers in the same file."""
    local: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_text(value):
                local.setdefault(name, []).append(value)
    for given in module.calls.get(function.name, []):
        for argument, value in zip(function.args.args, given, strict=False):
            if _is_text(value):
                local.setdefault(argument.arg, []).append(value)
    return local


def _error_names(modules: list[Module]) -> set[str]:
    names = {TalkiesError.__name__}
    classes = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    while True:
        new = {node.name for node in classes if names & {base.id for base in node.bases if isinstance(base, ast.Name)}}
        if new <= names:
            return names
        names |= new


def _is_config(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id in ("Config", "BaseModel") for base in node.bases)


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.Tuple(elts=[*_, last]):
            return _is_text(last)
        case ast.IfExp(body=one, orelse=other):
            return _is_text(one) or _is_text(other)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
    return False


def _joined(parts: list[list[str]]) -> list[str]:
    whole = [""]
    for part in parts:
        whole = [begin + end for begin in whole for end in part]
    return whole


def _plain(text: str) -> str:
    while REST + REST in text:
        text = text.replace(REST + REST, REST)
    return " ".join(text.split())
