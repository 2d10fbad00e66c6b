"""Settings shared by the tests and by the examples in docstrings."""

import os

# Before anything imports NumPy: one BLAS thread, so that workers do not fight for the cores,
# and pictures that need no window.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_configure() -> None:
    from hypothesis import HealthCheck, settings

    # The same examples at every run, and no deadline: the machine may be busy with other things.
    settings.register_profile(
        "gradarray",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=50,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("gradarray")
