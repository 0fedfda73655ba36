"""Write the tables of README and docs that are taken from the code: `make docs`."""

import re
import sys
from pathlib import Path

from flows.settings import settings_table
from tasks.stages.gating.suites import expectations_table

README = Path("README.md")
SETTINGS = re.compile(r"(<!-- settings:.*?-->\n).*(<!-- /settings -->)", re.DOTALL)

GATES = Path("docs/gates.md")
EXPECTATIONS = re.compile(r"(<!-- expectations -->\n).*(<!-- /expectations -->)", re.DOTALL)


def main() -> None:
    """Replace the tables by what the code says now."""
    text = README.read_text(encoding="utf-8")
    written = SETTINGS.sub(lambda found: found[1] + settings_table() + found[2], text)
    README.write_text(written, encoding="utf-8")
    gates = GATES.read_text(encoding="utf-8")
    told = EXPECTATIONS.sub(lambda found: found[1] + expectations_table() + found[2], gates)
    GATES.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
