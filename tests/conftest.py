"""Property tests draw the same examples in every run: a new failure then comes from a change, not from luck.

`HYPOTHESIS_PROFILE=explore` draws fresh ones, which is how to look for examples worth keeping.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
