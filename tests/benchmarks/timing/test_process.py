"""Fresh processes."""

import pytest

from benchmarks.timing.process import run_python


def test_a_failed_process_is_an_error_with_its_message():
    assert run_python("-c", "print(2)") == "2\n"
    with pytest.raises(RuntimeError, match="no such luck"):
        run_python("-c", "raise ValueError('no such luck')")
