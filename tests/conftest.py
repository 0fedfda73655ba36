"""What holds for every test: no settings of the person who runs them, and no luck."""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")

for _name in [name for name in os.environ if name.startswith(("NIGHTPRESS_", "PREFECT_"))]:
    del os.environ[_name]
