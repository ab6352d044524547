"""``python -m mailroute.cli``: the console script where it is not installed."""

from __future__ import annotations

from mailroute.cli.main import main

if __name__ == "__main__":
    main()
