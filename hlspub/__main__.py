"""`python -m hlspub` is the `hlspub` command."""

from hlspub.cli import main

if __name__ == "__main__":
    main()
