"""The budgets of the package, measured: ``python -m benchmarks``, or ``poe bench``.

Every budget but one is a ratio of two things done in the same run, against the same server,
in turns: a machine that is busy or slow changes both sides alike. What is printed are medians.
"""
