"""The local page: films, timelines, search by picture and by sound, playback."""

from talkies.web.app import UPLOAD_LIMIT_BYTES, create_app
from talkies.web.server import is_local, serve

__all__ = ["UPLOAD_LIMIT_BYTES", "create_app", "is_local", "serve"]
