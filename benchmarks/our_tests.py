"""Makes our `tests` importable; imported before anything below it.

A package beside the weights is named `tests` too, and would be found first.
"""

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if "tests" not in sys.modules:
    _package = types.ModuleType("tests")
    _package.__path__ = [str(ROOT / "tests")]
    sys.modules["tests"] = _package
    sys.path.insert(0, str(ROOT))
