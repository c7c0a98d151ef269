"""The service keeps to its own OpenAPI document, whatever is made up from it."""

import hypothesis
import pytest

from tests.serving.conftest import XRAY

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
positive_data_acceptance = checks.positive_data_acceptance
pytestmark = pytest.mark.slow


@hypothesis.settings(
    max_examples=20, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(data=hypothesis.strategies.data())
def check(operation, data):
    """Ask what is made up, half of the time about a model that exists."""
    case = data.draw(operation.as_strategy())
    if "name" in case.path_parameters and data.draw(hypothesis.strategies.booleans()):
        case.path_parameters["name"] = XRAY
    # The schema cannot say which bytes are an image.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


def test_every_answer_is_as_documented(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 12
    for operation in operations:
        check(operation)
