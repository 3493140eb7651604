"""Runs the command as `python -m cascade.cli`."""

from cascade.cli import main

if __name__ == "__main__":
    main()
