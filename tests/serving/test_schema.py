"""The service keeps to its own OpenAPI document, whatever is made up from it."""

import hypothesis
import pytest

from tests.serving.conftest import XRAY

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
pytestmark = pytest.mark.slow

schema = schemathesis.pytest.from_fixture("described")


@pytest.fixture(scope="session")
def described(app):
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Ask about a model that exists, every other time."""
    if path_parameters and len(str(path_parameters.get("name"))) % 2:
        path_parameters["name"] = XRAY
    return path_parameters


@schema.parametrize()
@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_every_answer_is_as_documented(case):
    case.call_and_validate()
