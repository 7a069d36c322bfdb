"""``estimators``: every score by name."""

from textwrap import fill


def estimators() -> None:
    """List every score that --estimators accepts, and its meaning."""
    from static_dynamic.estimators.registry import estimators

    for name, estimator in estimators().items():
        print(f"{name}\n{fill(estimator.summary, 78, initial_indent='  ', subsequent_indent='  ')}")
