"""The service keeps to its own description: requests made up from the OpenAPI document, right and wrong."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from allocator.service.app import create_app
from allocator.service.settings import Settings
from support.services import SMALL, served

CONFIG = SchemathesisConfig.from_dict(
    {
        # A problem of the right shape may still name unknown users: 422, or 404 for what is not there.
        "checks": {"positive_data_acceptance": {"expected-statuses": [200, 201, 202, 204, 404, 409, 422]}},
        "generation": {"deterministic": True},
    }
)
described = schemathesis.openapi.from_dict(create_app(Settings(Path("unused"))).openapi(), config=CONFIG)
made_up = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Where the service is, and the id of a solve that is there, which is that of its plan, too."""
    with served(tmp_path_factory.mktemp("described"), "--max-time-limit", "2") as running:
        yield running.url, running.ready().post("/v1/solve", json=SMALL).json()["job"]


@described.parametrize()
@made_up
def test_service_does_what_it_says(case, service):
    case.call_and_validate(base_url=service[0])


@described.exclude(method="DELETE").include(path_regex="id}|decide|outcomes|whatif").parametrize()
@made_up
def test_service_does_what_it_says_about_what_is_there(case, service):
    url, known = service
    if not case.meta.generation.mode.is_positive:
        return
    case.path_parameters.update(dict.fromkeys(case.path_parameters, known))
    if isinstance(case.body, dict):
        case.body.update({key: known for key in ("plan", "job") if key in case.body})
    answer = case.call_and_validate(base_url=url)
    assert answer.status_code != 404 or "outcomes" in case.path or "campaign" in case.body


def test_every_operation_is_described():
    document = create_app(Settings(Path("unused"))).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert operation["operationId"].replace("_", "").isalpha()  # a name that a client may have
            answers = operation["responses"]
            assert "Successful Response" not in {answer["description"] for answer in answers.values()}
            assert set(answers) >= {"401", "500", "503"}
            for status, answer in answers.items():
                told = answer.get("content", {}).get("application/json")
                assert told is None or told["examples"], (method, path, status)
                assert (status >= "400") == ("application/problem+json" in answer.get("content", {}))
            if method == "post":
                content = operation["requestBody"]["content"]["application/json"]
                assert content["examples"], (method, path)
                assert set(answers) >= {"408", "413", "415", "422"}
