"""How a typed config is read, overridden, checked and saved."""

from talkies.config.base import Config
from talkies.config.documents import read_document
from talkies.config.read import apply_overrides, check, list_keys, read_yaml, to_yaml

__all__ = ["Config", "apply_overrides", "check", "list_keys", "read_document", "read_yaml", "to_yaml"]
