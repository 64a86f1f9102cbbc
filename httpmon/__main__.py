"""Entry point of ``httpmon`` and ``python -m httpmon``.

In the wheel the folders ``cli``, ``engine``, ... lie inside this package; in a checkout they lie beside it.
Either way they are imported by their own names, so the folder that holds them goes first on the path.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
ROOT = _HERE if (_HERE / "cli").is_dir() else _HERE.parent


def main() -> None:
    """Run the command line; never returns normally: exits with the codes of ``engine.errors``."""
    if str(ROOT) not in sys.path[:1]:
        sys.path.insert(0, str(ROOT))
    try:
        from cli.app import run

        code = run()
    except KeyboardInterrupt:  # while the modules are loaded, of which engine.errors is one
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
