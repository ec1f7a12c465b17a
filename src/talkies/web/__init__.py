"""The web page and its HTTP API: browse films and timelines, search by picture and sound, play the results."""

from talkies.web.app import UPLOAD_LIMIT_BYTES, create_app
from talkies.web.server import is_local, serve

__all__ = ["UPLOAD_LIMIT_BYTES", "create_app", "is_local", "serve"]
