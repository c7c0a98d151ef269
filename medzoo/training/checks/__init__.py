"""What is found out before an hour of training instead of after it."""

from medzoo.training.checks.compiler import check_compiler, try_compiler
from medzoo.training.checks.high_res import check_high_res
from medzoo.training.checks.options import TrainerOptions, check_options
from medzoo.training.checks.run import check_callbacks, check_run, check_validation

__all__ = [
    "TrainerOptions",
    "check_callbacks",
    "check_compiler",
    "check_high_res",
    "check_options",
    "check_run",
    "check_validation",
    "try_compiler",
]
