"""``python -m otdist``."""

from otdist.cli import main

if __name__ == "__main__":
    main()
