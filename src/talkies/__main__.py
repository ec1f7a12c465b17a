"""`python -m talkies`: the command line, for launchers such as `torchrun`."""

from talkies.cli.main import main

if __name__ == "__main__":
    main()
