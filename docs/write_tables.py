"""Write the tables of README and docs that are taken from the code: `make docs`."""

import re
import sys
from pathlib import Path

from benchmarks.side_by_side.results import load, table
from flows.settings import settings_table
from tasks.stages.gating.suites import expectations_table

README = Path("README.md")
SETTINGS = re.compile(r"(<!-- settings:.*?-->\n).*(<!-- /settings -->)", re.DOTALL)

RESULTS = Path("benchmarks/results")
FIGURES = Path("benchmarks/FIGURES.md")
MEASURED = ("taken_over", "peers", "limits", "growth", "retrieval")
FIGURES_HEAD = "# Figures\nWritten by `make docs` from `results/`, which the commands below keep.\n"
FIRST_FIGURES = re.compile(r"(<!-- figures:.*?-->\n).*(<!-- /figures -->)", re.DOTALL)

GATES = Path("docs/gates.md")
EXPECTATIONS = re.compile(r"(<!-- expectations -->\n).*(<!-- /expectations -->)", re.DOTALL)


def main() -> None:
    """Replace the tables by what the code says now."""
    text = README.read_text(encoding="utf-8")
    written = SETTINGS.sub(lambda found: found[1] + settings_table() + found[2], text)
    written = FIRST_FIGURES.sub(lambda found: found[1] + first_figures() + found[2], written)
    README.write_text(written, encoding="utf-8")
    FIGURES.write_text(all_figures(), encoding="utf-8")
    gates = GATES.read_text(encoding="utf-8")
    told = EXPECTATIONS.sub(lambda found: found[1] + expectations_table() + found[2], gates)
    GATES.write_text(told, encoding="utf-8")


def first_figures() -> str:
    """Return the table that the README shows."""
    result = load(RESULTS / f"{MEASURED[0]}.json")
    seen = ", ".join(f"{key} {value}" for key, value in result.seen.items())
    return f"{table(result)}\nSeen with {seen}; {'; '.join(result.notes)}.\n"


def all_figures() -> str:
    """Return every table that was measured, with its picture and what a reader must know."""
    parts = [FIGURES_HEAD]
    for name in MEASURED:
        result = load(RESULTS / f"{name}.json")
        seen = "\n".join(f"- {key}: {value}" for key, value in result.seen.items())
        notes = "\n".join(f"- {note}" for note in result.notes)
        picture = f"![{result.title}](results/{name}.svg)"
        head = f"## {result.title}: `{result.command}`"
        parts.append(f"{head}\n{table(result)}\n{notes}\n{seen}\n\n{picture}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
