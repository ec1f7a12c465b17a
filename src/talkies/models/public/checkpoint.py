"""A checkpoint in the format of Hugging Face transformers: found, described, and loaded without running its code."""

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from talkies.core import ConfigError, describe_os_error
from talkies.core.memory import is_lack_of_memory
from talkies.models.address import EncoderAddress
from talkies.models.public.base import silence_dropout

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_DESCRIPTIONS = (CONFIG, PREPROCESSOR, "video_preprocessor_config.json", "processor_config.json")
_SAFE, _PICKLED = (".safetensors",), (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")
_PARTS = ("feature_extractor", "image_processor", "video_processor")  # of a processor_config.json
_MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """A folder with a model of transformers.

    Attributes:
        address: how the user named it.
        folder: where it is.
        config: what its `config.json` holds.
        preprocessor: what the description of its preprocessing holds.
        weights: the folder of the weights; None: that of the checkpoint.
        is_described: whether there are only descriptions, and networks are built with random weights.
        has: whether it has weights whose names start with a text, by that text: what `has_weights` found.
        loaded: the networks that were loaded, in their order, each with its tensors by name: those of parts too that
            are then removed from it.
        parts: the parts whose weights were loaded one by one, each after what precedes their names.
    """

    address: str
    folder: Path
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    weights: Path | None = None
    is_described: bool = False
    has: dict[str, bool] = field(default_factory=dict)
    loaded: list[tuple[Any, dict[str, torch.Tensor]]] = field(default_factory=list)
    parts: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def model_type(self) -> str:
        """The name of its architecture."""
        return str(self.config.get("model_type", ""))

    def is_text_model(self) -> bool:
        """Return whether its architecture takes tokens and no pictures or sound."""
        return "vocab_size" in self.config and not {"vision_config", "audio_config"} & self.config.keys()

    def load(self, model_class: Any, adjust: Callable[[Any], None] | None = None, **options: Any) -> Any:
        """Return a network of transformers with the checkpoint's weights, in float32 and without dropout.

        Whichever class saved the weights, those that the network lacks are left out. Nothing is printed.

        Args:
            model_class: the class of the network.
            adjust: changes the network's config before it is built.
            options: arguments of the network's constructor.

        Raises:
            ConfigError: if the weights are pickled, missing, damaged, or of another network.
        """
        if not self.is_described:
            self.check_safe()
        try:
            with silence():
                network, report = self._load(model_class, adjust, options)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            if is_lack_of_memory(error):
                raise MemoryError(str(error)) from error
            raise self._explain_failure(error) from error
        missing = sorted(report["missing_keys"])
        if missing and self.weights is None:  # what was removed from the network is not written with it
            more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
            raise ConfigError(
                f"{self.address} lacks weights of {model_class.__name__}: {', '.join(missing[:_MOST_NAMES])}{more}; "
                "name a complete checkpoint"
            )
        self.loaded.append((network, dict(network.state_dict())))
        return network

    def _load(
        self, model_class: Any, adjust: Callable[[Any], None] | None, options: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]]:
        """Return the network, and the report of transformers on what of it the checkpoint has."""
        config = model_class.config_class.from_pretrained(self.folder, local_files_only=True)
        silence_dropout(config)
        if adjust:
            adjust(config)
        if self.is_described:
            return model_class(config, **options).float().eval(), {"missing_keys": ()}
        network, report = model_class.from_pretrained(
            self.weights or self.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
        return network, report

    def has_weights(self, prefix: str) -> bool:
        """Return whether the name of any of the checkpoint's weights starts with a prefix.

        Raises:
            ConfigError: if a file of weights is damaged.
        """
        if prefix not in self.has:
            self.has[prefix] = self._find_weights(prefix)
        return self.has[prefix]

    def _find_weights(self, prefix: str) -> bool:
        for path in sorted(self.folder.glob("model*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    if any(name.startswith(prefix) for name in file.keys()):  # noqa: SIM118  # it is no mapping
                        return True
            except (SafetensorError, OSError) as error:
                raise self._explain_failure(error) from error
        return False

    def _explain_failure(self, error: Exception) -> ConfigError:
        cause = describe_os_error(error) if isinstance(error, OSError) and error.strerror else str(error)
        return ConfigError(f"{self.address} cannot be loaded ({cause.splitlines()[0]}); name a complete checkpoint")

    @property
    def license(self) -> str:
        """The licence that the checkpoint's card states; empty if it states none."""
        card = self.folder / "README.md"
        found = re.search(r"^license: *(\S+)", card.read_text(encoding="utf-8"), re.M) if card.is_file() else None
        return found[1] if found else ""

    def load_tokenizer(self) -> Any:
        """Return the checkpoint's tokenizer.

        Raises:
            ConfigError: if it has none.
        """
        from transformers import AutoTokenizer

        try:
            with silence():
                return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        except ImportError as error:
            raise ConfigError(
                f"the tokenizer of {self.address} needs SentencePiece, which is not installed; install it with: "
                "pip install sentencepiece protobuf"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self.address} has no tokenizer that can be read; name a complete checkpoint"
            ) from error

    def read_files(self) -> dict[str, str]:
        """Return the small files that describe the network and its preprocessing, by name."""
        paths = (self.folder / name for name in _DESCRIPTIONS)
        return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}

    def check_safe(self) -> None:
        """Check that the weights can be read without running anybody's code.

        Raises:
            ConfigError: if they are pickled, or there are none.
        """
        folder = self.weights or self.folder
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if any(name.endswith(_SAFE) for name in names):
            return
        pickled = sorted(name for name in names if name.endswith(_PICKLED))
        if pickled:
            raise ConfigError(
                f"{self.address} has its weights in {pickled[0]}, and reading it could run code of its author; if you "
                "trust it, convert it: load it with transformers and save_pretrained(FOLDER, safe_serialization=True)"
            )
        raise ConfigError(f"{self.address} has no weights (a .safetensors file); name a complete checkpoint")


@contextmanager
def silence() -> Iterator[None]:
    """Keep transformers from printing progress and reports; its settings are as they were afterwards."""
    logging: Any = import_module("transformers.utils.logging")
    hub: Any = import_module("huggingface_hub.utils")
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_has_none = hub.are_progress_bars_disabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        with warnings.catch_warnings(action="ignore"):  # where the environment forbids those of the hub
            if has_bars:
                logging.enable_progress_bar()
        if hub_has_none:
            hub.disable_progress_bars()


def open_checkpoint(address: EncoderAddress) -> HubCheckpoint:
    """Return the checkpoint at an address; an id that is no folder is downloaded from the hub.

    Raises:
        ConfigError: if there is no such folder, id or revision, the hub cannot be reached, or it is no model.
    """
    folder = Path(address.name).expanduser()
    if not folder.is_dir():
        folder = _download(address)
    config = _read_json(folder / CONFIG, address)
    if config is None or "model_type" not in config:
        raise ConfigError(
            f"{address} is no model of transformers: it has no {CONFIG} that names its model_type; name a folder that "
            "save_pretrained wrote, or an id on the hub"
        )
    return HubCheckpoint(str(address), folder, config, _read_preprocessor(folder, address))


def _read_preprocessor(folder: Path, address: EncoderAddress) -> Mapping[str, Any]:
    """Return the description of the preprocessing, wherever the version of transformers that wrote it put it."""
    merged: dict[str, Any] = {}
    for name in ("processor_config.json", "video_preprocessor_config.json", PREPROCESSOR):
        values = _read_json(folder / name, address) or {}
        for part in _PARTS:
            merged |= values.pop(part, None) or {}
        merged |= values
    return merged


def _read_json(path: Path, address: EncoderAddress) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{address}: {path.name} cannot be read, or is damaged; name a complete checkpoint"
        ) from error
    return document if isinstance(document, dict) else None


def _download(address: EncoderAddress) -> Path:
    """Return the folder of a checkpoint on the hub, downloaded unless it is there already."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"{address} is no folder here"
    try:
        return Path(
            snapshot_download(
                address.name,
                revision=address.revision,
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "README.md"],
            )
        )
    except RevisionNotFoundError as error:
        raise ConfigError(
            f"{address.name} on the hub has no revision '{address.revision}'; name one that it has, or none"
        ) from error
    except GatedRepoError as error:
        raise ConfigError(
            f"{address.name} on the hub is open only to those who accepted its conditions; accept them there, and log "
            "in with: hf auth login"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ConfigError(f"{what}, and no model of that id on the hub; check its name") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ConfigError(
            f"{what}, and the hub cannot be reached to download it; download it elsewhere, copy its folder here, and "
            "name that: hf:FOLDER"
        ) from error
