"""Write the tables of the README that are taken from the code: `make docs`."""

import re
import sys
from pathlib import Path

from flows.settings import settings_table

README = Path("README.md")
SETTINGS = re.compile(r"(<!-- settings:.*?-->\n).*(<!-- /settings -->)", re.DOTALL)


def main() -> None:
    """Replace the settings table by what the code says now."""
    text = README.read_text(encoding="utf-8")
    written = SETTINGS.sub(lambda found: found[1] + settings_table() + found[2], text)
    README.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
