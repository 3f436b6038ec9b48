"""The command line: one verb, one function call, one file here. PyTorch is imported by the verbs that need it, not by
`--help`."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from pkgutil import iter_modules

from ..errors import FalllineError
from .app import INTERRUPTED, app

for _verb in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_verb}")


def main() -> None:
    """Entry point of the `fallline` command."""
    try:
        app()
    except FalllineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: {error.strerror}; what was written is kept; the same command goes on.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
