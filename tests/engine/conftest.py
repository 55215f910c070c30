"""Kernels are compiled before anything is timed: Hypothesis gives each example 200 ms."""

import pytest

from engine import worker


@pytest.fixture(autouse=True, scope="session")
def warmed() -> None:
    worker.warm()
