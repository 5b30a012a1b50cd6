"""One seed, from which everything is drawn that tests leave to chance; a plugin of pytest.

EDA_TEST_SEED says another one than 1: other examples of Hypothesis, another order of the tests. The
same seed means the same of both, so that what has failed once can be had again.
"""

import os

import pytest
from hypothesis import Phase, settings

SEED = int(os.environ.get("EDA_TEST_SEED") or 1)

# Nothing is kept of the examples. What fails is shown as it was found: to have it made as small as
# can be, which takes minutes, say --hypothesis-profile=shrink. Not derandomize=True: that would
# draw from the test's own text, and never anything else.
settings.register_profile("shrink", derandomize=False, database=None, deadline=None)
settings.register_profile(
    "suite", settings.get_profile("shrink"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("suite")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hand the seed to Hypothesis and to pytest-randomly, if they are given none of their own."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)
    if getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = SEED


def pytest_report_header() -> str:
    return f"seed: {SEED}, from EDA_TEST_SEED"
