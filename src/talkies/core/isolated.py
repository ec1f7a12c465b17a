"""The program of an isolated process: `python -m talkies.core.isolated SOCKET PARENT`."""

import sys

from talkies.core.isolation import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
