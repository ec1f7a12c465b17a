"""The program that an isolated process runs: `python -m talkies.runtime.isolated SOCKET PARENT`."""

import sys

from talkies.runtime.isolation import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
