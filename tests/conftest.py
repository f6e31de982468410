"""Settings shared by all tests."""

import os
import warnings

import hypothesis
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # pgmpy 1.1 imports its own deprecated modules
    import pgmpy
    import pgmpy.estimators

hypothesis.settings.register_profile("suite", max_examples=150, deadline=None, derandomize=True)
hypothesis.settings.register_profile("campaign", max_examples=3000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True)
def _no_progress_bar(monkeypatch):
    monkeypatch.setattr(pgmpy.config, "SHOW_PROGRESS", False)
