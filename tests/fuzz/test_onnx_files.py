"""Some damaged .onnx files of `tests.fuzz.onnx_files`; that command tries many more.

The runtimes are not asked to read graphs that no digest protects: only the command does that, in a
process of its own, since damage may crash them.
"""

import functools

import pytest

from tests.fuzz.readers import outcome

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

from tests.fuzz.onnx_files import cases

pytestmark = pytest.mark.filterwarnings("ignore")
all_cases = functools.cache(cases)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("kind", ["bytes", "description"])
def test_damaged_onnx_files_are_read_or_refused(kind, backend, tmp_path):
    case = all_cases()[f"onnx {kind}, {backend}"]
    for number in range(25):
        found = outcome(case, tmp_path / "file", number)
        assert found in ("read", "refused"), number
