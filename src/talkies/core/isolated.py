"""The program of an isolated process: `python -m talkies.core.isolated SOCKET`."""

import sys

from talkies.core.isolation import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]))
