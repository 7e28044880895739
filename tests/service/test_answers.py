"""The service in this process: what it answers, to whom, and what it says when it cannot."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from allocator.errors import InputError
from allocator.online import OnlinePlan
from allocator.service.app import create_app
from allocator.service.database import UnavailableError
from allocator.service.keys import Keys, line_of, new_key, read_keys
from allocator.service.plans.batcher import Batcher
from allocator.service.settings import Settings
from support.services import BUDGET, PAIRS, SMALL, finished, hard, wait_for

HERE = "http://localhost"
ANN, BEN = new_key(), new_key()
KEYS = Keys({name: line_of(name, key).split(":")[1] for name, key in (("ann", ANN), ("ben", BEN))})


def opened(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url=HERE) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, shared_starter: Path) -> Iterator[TestClient]:
    """A service that everyone here may call, with one campaign."""
    data = tmp_path_factory.mktemp("service")
    yield from opened(Settings(data, campaigns=shared_starter.parent, max_body=1 << 20, max_batch=5))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with two callers and room for two jobs."""
    yield from opened(
        Settings(
            tmp_path_factory.mktemp("guarded"),
            keys=KEYS,
            max_jobs=2,
            pairs_at_once=100,
            hold_days=1.5 / 86400,
        )
    )


def as_(key: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **headers}


def with_limits(*limits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**SMALL, "limits": list(limits), **more}


def decision(request_id: str, **more: Any) -> dict[str, Any]:
    value = {"C1": 5.0, "C2": 4.0}
    return {"request_id": request_id, "value": value, "measures": {"cost": {"C1": 1.0, "C2": 1.0}}, **more}


@pytest.fixture(scope="module")
def plan(client: TestClient) -> str:
    return client.post("/v1/solve", json=with_limits(BUDGET)).json()["plan"]


def test_small_problem_is_answered_at_once_with_its_proof(client):
    answer = client.post("/v1/solve", json=SMALL)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["status"], found["objective"], found["bound"], found["gap"]) == ("optimal", 13, 13, 0)
    assert found["limits"][0] | {"price": 0} == {
        "label": "total", "used": 6.0, "at_least": None, "at_most": 6.0, "slack": 0.0, "price": 0,
        "binding": True,
    }  # fmt: skip
    assert found["certificate"]["valid"]
    chosen = list(zip(found["assignments"]["user_id"], found["assignments"]["coupon_id"], strict=True))
    worth = {
        (u, c): v for u, c, v in zip(*(PAIRS[k] for k in ("user_id", "coupon_id", "value")), strict=True)
    }
    assert sum(worth[pair] for pair in chosen) == 13
    assert found["digests"]["request"] == hashlib.sha256(answer.request.content).hexdigest()
    again = client.post("/v1/solve", json=SMALL).json()
    assert again["assignments"] == found["assignments"]
    assert again["plan"] != found["plan"]


def test_groups_stock_and_settings_of_a_problem_count(client):
    body = {
        **SMALL,
        "users": {"user_id": ["u1", "u2", "u3", "u4"], "region": ["north", "south", "north", "south"]},
        "coupons": {"coupon_id": ["C1", "C2"], "inventory": [4, 1], "channel": ["sms", "email"]},
        "limits": [BUDGET, {"kind": "floor", "label": "south", "users": {"region": "south"}, "at_least": 2}],
        "method": "exact",
        "seed": 11,
    }  # fmt: skip
    found = client.post("/v1/solve", json=body).json()
    assert (found["seed"], found["method"]) == (11, "exact")
    assert {row["label"] for row in found["limits"]} >= {"total", "south", "inventory[C2]"}
    assert found["assignments"]["coupon_id"].count("C2") == 1
    assert {"u2", "u4"} <= set(found["assignments"]["user_id"])


def test_everything_wrong_is_said_at_once_with_table_row_and_column(client):
    body = with_limits({"kind": "budgt"}, {"kind": "budget", "label": "b", "at_most": 5, "by": "x"})
    body["pairs"] = {**PAIRS, "cost": [1.0, "x", None, *PAIRS["cost"][3:]]}
    answer = client.post("/v1/solve", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    places = [(f["file"], f["row"], f["column"], f["found"]) for f in document["errors"]]
    assert places[:2] == [("pairs", 2, "cost", "'x'"), ("pairs", 3, "cost", "an empty cell")]
    assert {place[2] for place in places[2:]} == {"limits[1].kind", "limits[2].by"}
    assert document["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time_limit": 9999}, "this service solves no longer than that"),
        ({"gap": -1}, "greater than or equal to 0"),
        ({"limit": []}, "unknown key; correct its spelling or remove it"),
        ({"pairs": {**PAIRS, "cost": [1.0]}}, "the columns must have one length"),
        ({"pairs": {**PAIRS, "cost": [[1]] * 8}}, "a cell must be a text, a number, true, false or null"),
        ({"pairs": {}}, "there are no rows"),
        ({"campaign": "x"}, "unknown key"),
        ({"users": {"user_id": ["u1"]}}, "unknown user_id"),
    ],
)  # fmt: skip
def test_wrong_problem_is_refused_in_words(client, change, says):
    answer = client.post("/v1/solve", json={**SMALL, **change})
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_limits_that_clash_are_named_with_repairs(client):
    body = with_limits(BUDGET, {"kind": "floor", "label": "all", "measure": "cost", "at_least": 9})
    document = client.post("/v1/solve", json=body).json()
    assert document["type"] == "urn:allocate:problem:infeasible"
    assert document["labels"] == ["total", "all"]
    assert document["repairs_alone"]["total"] == pytest.approx(3, abs=1)
    found = client.post("/v1/solve", json={**body, "on_infeasible": "least_violation"}).json()
    assert found["status"] == "least violating"
    assert found["broken_limits"]


def test_campaign_is_solved_by_name_as_the_command_line_does(client, command, shared_starter):
    found = client.post("/v1/solve", json={"campaign": "starter"}).json()
    own = command("solve", shared_starter, "--json").document
    for key in ("objective", "bound", "assigned", "limits", "digests", "seed", "by_coupon"):
        assert found[key] == own[key], key


@pytest.mark.parametrize(
    "name", ["../starter", "starter/", "/etc", ".", "..", "starter\x00", "no", "%2e%2e", "STARTER"]
)
def test_a_campaigns_name_is_no_path(client, name):
    answer = client.post("/v1/solve", json={"campaign": name})
    assert answer.status_code == 422
    assert "starter" not in answer.json()["detail"].replace(repr(name), "")


def test_whatif_answers_as_the_command_line_does(client, command, shared_starter):
    scenarios = [{"name": "less", "set": {"total.at_most": 100.0}}]
    body = {"campaign": "starter", "scenarios": scenarios, "own_scenarios": False}
    found = client.post("/v1/whatif", json=body).json()
    own = command(
        "whatif", shared_starter, "--json", "--only", "--scenario", "less", "--set", "total.at_most=100"
    ).document
    assert {k: v for k, v in found.items() if k != "job"} == own


def test_whatif_of_a_solve_sweeps_its_budget(client, plan):
    body = {"job": plan, "sweeps": [{"path": "total.at_most", "values": [2, 4, 6]}]}
    points = client.post("/v1/whatif", json=body).json()["points"]
    assert [point["value"] for point in points] == [5, 9, 13]
    unknown = {"job": plan, "scenarios": [{"name": "x", "set": {"tota.at_most": 1}}]}
    assert "changes an unknown limit" in client.post("/v1/whatif", json=unknown).json()["detail"]
    assert client.post("/v1/whatif", json={**body, "job": "0" * 32}).status_code == 404
    assert "there are no scenarios" in client.post("/v1/whatif", json={"job": plan}).json()["detail"]


def test_a_job_can_be_asked_for_followed_and_deleted(client):
    answer = client.post("/v1/solve", json=SMALL, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    where = answer.headers["location"]
    document = finished(client, answer.json()["id"])
    assert (document["status"], document["result"]) == ("done", f"{where}/result")
    assert client.get(document["result"]).json()["objective"] == 13
    assert document["id"] in [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]
    assert client.delete(where).status_code == 204
    assert client.get(where).status_code == 404
    assert client.get(f"{where}/result").status_code == 404


def test_jobs_are_listed_page_by_page(client):
    for _ in range(3):
        client.post("/v1/solve", json=SMALL)
    every = [job["id"] for job in client.get("/v1/jobs?limit=200").json()["jobs"]]
    paged, following = [], "/v1/jobs?limit=2&status=done"
    while following:
        page = client.get(following).json()
        paged += [job["id"] for job in page["jobs"]]
        following = page["next"]
    assert paged == [job for job in every if job in set(paged)]
    assert len(paged) >= 3


def test_large_problem_becomes_a_job_whose_failure_is_the_problem(guarded):
    pairs = {name: [*cells] * 40 for name, cells in PAIRS.items()}  # each pair 40 times
    answer = guarded.post("/v1/solve", json={"pairs": pairs}, headers=as_(ANN))
    assert answer.status_code == 202
    guarded.headers["authorization"] = f"Bearer {ANN}"
    document = finished(guarded, answer.json()["id"])
    del guarded.headers["authorization"]
    assert document["status"] == "failed"
    assert document["problem"]["errors"][0]["message"] == "this pair occurs twice; keep one row"
    result = guarded.get(f"/v1/jobs/{document['id']}/result", headers=as_(ANN))
    assert (result.status_code, result.json()["detail"]) == (409, "The job is failed; it has no result.")


def test_same_idempotency_key_same_job(client):
    headers = {"Idempotency-Key": "morning-run"}
    first = client.post("/v1/solve", json=SMALL, headers=headers).json()
    assert client.post("/v1/solve", json=SMALL, headers=headers).json() == first
    other = client.post("/v1/solve", json={**SMALL, "seed": 8}, headers=headers)
    assert other.json()["type"] == "urn:allocate:problem:idempotency-key-reused"
    wrong = client.post("/v1/solve", json=SMALL, headers={"Idempotency-Key": "a b"})
    assert wrong.status_code == 422


def test_jobs_belong_to_their_key_cancel_really_stops_and_the_queue_is_bounded(guarded):
    assert guarded.get("/v1/jobs").status_code == 401
    assert guarded.get("/v1/jobs", headers=as_("alc_wrong")).status_code == 401
    guarded.headers["authorization"] = f"Bearer {ANN}"
    jobs = [guarded.post("/v1/solve", json=hard(seed=seed)).json()["id"] for seed in (1, 2)]
    refused = guarded.post("/v1/solve", json=SMALL)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    wait_for(lambda: (guarded.get(f"/v1/jobs/{jobs[0]}").json()["progress"] or {}).get("step") == "exact")
    for method in (guarded.get, guarded.delete):
        assert (
            method(f"/v1/jobs/{jobs[0]}", headers={"X-API-Key": BEN, "Authorization": ""}).status_code == 404
        )
    assert guarded.get("/v1/jobs", headers=as_(BEN)).json()["jobs"] == []
    for job in jobs:
        assert guarded.delete(f"/v1/jobs/{job}").json()["status"] == "cancelled"
    after = guarded.post("/v1/solve", json={"pairs": {k: v * 20 for k, v in PAIRS.items()}}).json()
    assert finished(guarded, after["id"], 20)["status"] == "failed"  # the worker is free again
    del guarded.headers["authorization"]


def test_decisions_are_repeated_alike_and_outcomes_counted(client, plan):
    asked = {"plan": plan, "requests": [decision("a", user_id="ann"), decision("b"), decision("a")]}
    first = client.post("/v1/decide", json=asked).json()["decisions"]
    assert [each["coupon_id"] for each in first] == ["C1", "C1", "C1"]
    assert [each["replayed"] for each in first] == [False, False, True]
    again = client.post("/v1/decide", json=asked).json()["decisions"]
    assert [{**each, "replayed": False} for each in again] == [{**each, "replayed": False} for each in first]
    assert all(each["replayed"] for each in again)
    second = client.post("/v1/decide", json={"plan": plan, "requests": [decision("c", user_id="ann")]}).json()
    assert "already" in second["decisions"][0]["reason"]

    used = {"request_id": "a", "used": True, "measures": {"cost": 0.25}}
    told = {
        "plan": plan,
        "outcomes": [used, {"request_id": "b", "used": False}, {"request_id": "z", "used": True}],
    }
    results = [each["result"] for each in client.post("/v1/outcomes", json=told).json()["outcomes"]]
    assert results == ["settled", "settled", "unknown"]
    row = client.get(f"/v1/plans/{plan}").json()["rows"][0]
    assert (row["label"], row["guaranteed"], row["held"], row["left"]) == ("total", True, 0.25, 5.75)
    conflict = client.post(
        "/v1/outcomes", json={"plan": plan, "outcomes": [{"request_id": "a", "used": False}]}
    )
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:allocate:problem:conflict")
    unknown = client.post(
        "/v1/outcomes", json={"plan": plan, "outcomes": [{"request_id": "z", "used": False}]}
    )
    assert unknown.status_code == 404


def test_wrong_decisions_are_refused_together(client, plan):
    bad = [decision("a", value={"C9": 1.0}), decision("b", measures={})]
    document = client.post("/v1/decide", json={"plan": plan, "requests": bad}).json()
    assert [error["column"] for error in document["errors"]] == [
        "requests[1].value",
        "requests[2].measures.cost",
    ]
    many = {"plan": plan, "requests": [decision(str(i)) for i in range(6)]}
    assert "at most 5" in client.post("/v1/decide", json=many).json()["detail"]
    assert client.post("/v1/decide", json={"plan": "none", "requests": [decision("a")]}).status_code == 404


def test_a_request_id_of_another_user_gets_nothing_of_theirs(client, plan):
    first = client.post("/v1/decide", json={"plan": plan, "requests": [decision("mine", user_id="eve")]})
    assert first.status_code == 200
    other = client.post("/v1/decide", json={"plan": plan, "requests": [decision("mine", user_id="bob")]})
    assert (other.status_code, other.json()["errors"][0]["found"]) == (422, "'mine'")
    assert "another user's" in other.json()["detail"]


def test_a_batch_of_any_length_is_not_read(client, plan):
    padded = {"plan": plan, "requests": [decision("long")], "padding": "x" * (5 * 8192)}
    assert client.post("/v1/decide", json=padded).status_code == 413
    unknown = decision("many", value={f"coupon {i}": 1.0 for i in range(300)})
    (error,) = client.post("/v1/decide", json={"plan": plan, "requests": [unknown]}).json()["errors"]
    assert error["found"].endswith("and 288 more")


def test_a_plan_too_large_to_decide_from_is_refused(client):
    coupons = [f"C{i}" for i in range(1001)]
    row = {
        "terms": [{"measure": "cost", "weight": 1.0, "users": {}, "coupons": ["C0"]}],
        "at_most": 1.0,
        "price": 0.0,
    }
    document = {
        "schema": 1, "plan_id": "huge", "coupon_ids": coupons, "per_user": [0, 1], "groups": {}, "users": 1,
        "rows": [row | {"label": f"row {i}"} for i in range(1000)], "objective": 1.0,
    }  # fmt: skip
    refused = client.post("/v1/plans", json={"plan": document})
    assert (refused.status_code, refused.json()["errors"][0]["found"]) == (422, "1,001,000")


def test_a_plan_keeps_to_the_time_that_its_users_arrive(client):
    over = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-02-01T00:00:00Z"}
    plan = client.post("/v1/solve", json={**SMALL, "online": over}).json()["plan"]
    (given,) = client.post("/v1/decide", json={"plan": plan, "requests": [decision("a")]}).json()["decisions"]
    assert (given["coupon_id"], given["reason"]) == (None, "the plan is over")
    half = client.post("/v1/solve", json={**SMALL, "online": {"starts_at": "2020-01-01"}})
    assert (half.status_code, half.json()["errors"][0]["column"]) == (422, "online")


def test_concurrent_decisions_never_overspend(client):
    plan = client.post("/v1/solve", json=with_limits(BUDGET)).json()["plan"]

    def ask(i: int) -> str | None:
        body = {"plan": plan, "requests": [decision(f"r{i}")]}
        return client.post("/v1/decide", json=body).json()["decisions"][0]["coupon_id"]

    with ThreadPoolExecutor(16) as pool:
        given = [coupon for coupon in pool.map(ask, range(64)) if coupon]
    assert len(given) == 6
    assert client.get(f"/v1/plans/{plan}").json()["rows"][0]["held"] == 6


def test_a_user_to_whom_nothing_is_open_needs_no_measures(client, plan):
    nobody = {"request_id": "nothing open", "value": {}}
    answer = client.post("/v1/decide", json={"plan": plan, "requests": [nobody]})
    assert answer.json()["decisions"][0]["reason"] == "no coupon is open to this user"


def test_a_batch_that_fails_fails_only_for_the_caller_whose_items_cannot_be_done():
    tried: list[list[int]] = []

    def work(items: Sequence[int]) -> list[int]:
        tried.append(list(items))
        if 3 in items:
            raise InputError("three")
        return [10 * item for item in items]

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(executor, work, most=10)
            asked = (batcher.do(items) for items in ([1], [2, 3], [4]))
            return await asyncio.gather(*asked, return_exceptions=True)

    first, wrong, last = asyncio.run(ask())
    assert (first, str(wrong), last) == ([10], "three", [40])
    assert tried == [[1, 2, 3, 4], [1], [2, 3], [4]]


def test_uploaded_plan_decides_under_its_own_id(guarded):
    rows = [{
        "label": "total", "terms": [{"measure": "count", "weight": 1.0, "users": {}, "coupons": ["C1"]}],
        "at_most": 1.0,
    }]  # fmt: skip
    document = {
        "schema": 1, "plan_id": "x", "coupon_ids": ["C1"], "per_user": [0, 1], "groups": {}, "rows": rows,
        "users": 3, "objective": 1.0,
    }  # fmt: skip
    assert OnlinePlan.from_json(json.dumps(document)).guaranteed
    headers = as_(ANN)
    first = guarded.post("/v1/plans", json={"plan": document, "id": "spring"}, headers=headers)
    assert (first.status_code, first.headers["location"]) == (201, "/v1/plans/spring")
    assert (
        guarded.post("/v1/plans", json={"plan": document, "id": "spring"}, headers=headers).status_code == 200
    )
    changed = {**document, "users": 4}
    for key, plan in ((ANN, changed), (BEN, document)):
        taken = guarded.post("/v1/plans", json={"plan": plan, "id": "spring"}, headers=as_(key))
        assert taken.status_code == 409
    bad = {**document, "coupon_ids": []}
    wrong = guarded.post("/v1/plans", json={"plan": bad, "id": "a/b"}, headers=headers)
    assert wrong.status_code == 422
    ask = {"plan": "spring", "requests": [{"request_id": str(i), "value": {"C1": 1.0}} for i in range(3)]}
    assert guarded.post("/v1/decide", json=ask, headers=as_(BEN)).status_code == 404
    given = guarded.post("/v1/decide", json=ask, headers=headers).json()["decisions"]
    assert [each["coupon_id"] for each in given] == ["C1", None, None]
    assert given[1]["reason"] == "limit 'total' is used up"
    time.sleep(1.6)  # not used by then, it is free again
    later = {"plan": "spring", "requests": [{"request_id": "later", "value": {"C1": 1.0}}]}
    assert guarded.post("/v1/decide", json=later, headers=headers).json()["decisions"][0]["coupon_id"] == "C1"
    assert [each["id"] for each in guarded.get("/v1/plans", headers=headers).json()["plans"]] == ["spring"]
    assert guarded.delete("/v1/plans/spring", headers=as_(BEN)).status_code == 404
    assert guarded.delete("/v1/plans/spring", headers=headers).status_code == 204
    assert guarded.get("/v1/plans/spring", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "kind"),
    [
        ("GET", "/v1/nothing", {}, b"", 404, "not-found"),
        ("PUT", "/v1/solve", {}, b"", 405, "method-not-allowed"),
        ("POST", "/v1/solve", {}, b"{}", 415, "unsupported-media-type"),
        ("POST", "/v1/solve", {"content-type": "text/plain"}, b"{}", 415, "unsupported-media-type"),
        ("POST", "/v1/solve", {"content-type": "application/json", "content-encoding": "gzip"}, b"{}", 415,
         "unsupported-media-type"),
        ("POST", "/v1/solve", {"content-type": "application/json"}, b"{", 422, "invalid-input"),
        ("POST", "/v1/solve", {"content-type": "application/json"}, b'"\xff"', 422, "invalid-input"),
        ("POST", "/v1/solve", {"content-type": "application/json"}, b"[" * 100_000, 422, "invalid-input"),
        ("POST", "/v1/solve", {"content-type": "application/json"}, b" " * (1 << 20) + b"{}", 413,
         "content-too-large"),
        ("GET", "/v1/jobs?limit=0", {}, b"", 422, "invalid-input"),
        ("GET", "/healthz", {"host": "evil.example"}, b"", 421, "misdirected-request"),
    ],
)  # fmt: skip
def test_refusals_are_problem_documents(client, method, path, headers, content, status, kind):
    answer = client.request(method, path, headers=headers, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    document = answer.json()
    assert (document["type"], document["status"]) == (f"urn:allocate:problem:{kind}", status)
    assert document["detail"]
    if status == 405:
        assert answer.headers["allow"] == "POST"


def test_without_a_key_only_health_and_description_are_open(guarded):
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert guarded.get(path).status_code == 200, path
    for path in ("/metrics", "/v1/jobs", "/v1/plans", "/v1/nothing"):
        answer = guarded.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.get("/metrics", headers={"X-API-Key": BEN}).status_code == 200


def test_metrics_tell_requests_decisions_jobs_and_limits(client, plan):
    client.post("/v1/decide", json={"plan": plan, "requests": [decision("of metrics")]})
    text = client.get("/metrics").text
    assert 'allocate_requests_total{method="POST",route="/v1/solve",status="200"}' in text
    assert 'allocate_request_seconds_bucket{le="0.005",route="/v1/decide"}' in text
    assert 'allocate_decisions_total{result="given"}' in text
    assert 'allocate_jobs{status="running"} 0.0' in text
    assert f'allocate_limit_used_ratio{{limit="total",plan="{plan}"}}' in text
    assert "/v1/plans/{plan_id}" not in text or plan not in text.split("allocate_limit_used_ratio")[0]


def test_log_has_one_line_a_request_and_nothing_of_users(client, caplog):
    with caplog.at_level(logging.INFO, "allocate.service"):
        body = {"plan": "none", "requests": [decision("secret-request", user_id="secret-user")]}
        client.post("/v1/decide?token=secret-token", json=body, headers={"X-Request-ID": "mine-1"})
    (record,) = [record for record in caplog.records if record.getMessage() == "request"]
    fields = record.fields
    assert fields.pop("ms") >= 0
    assert fields == {"method": "POST", "route": "/v1/decide", "status": 404, "key": "-", "id": "mine-1"}
    assert "secret" not in caplog.text


def test_a_bug_is_a_500_without_its_traceback(client, monkeypatch, caplog):
    def fail(_: object, body: bytes) -> None:
        raise RuntimeError(body.decode())

    monkeypatch.setattr("allocator.service.routes.decide.parse", fail)
    answer = client.post("/v1/decide", json={"plan": "secret"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.fields["id"] == answer.json()["request_id"]
    assert "routes/decide.py" in record.fields["trace"]
    assert "RuntimeError" in record.fields["trace"]
    assert "secret" not in str(record.fields)  # it could have quoted what the caller sent


def test_not_ready_once_it_is_to_stop(client):
    service = client.app.state.service
    service.closing = True
    try:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "The service is shutting down.")
        assert client.get("/healthz").status_code == 200
    finally:
        service.closing = False


def test_keys_are_read_from_file_and_environment(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(f"# callers\n{line_of('ann', ANN)}\n\n")
    monkeypatch.setenv("ALLOCATE_API_KEYS", line_of("ben", BEN))
    keys = read_keys(file)
    assert (keys.owner(ANN), keys.owner(BEN), keys.owner("alc_x")) == ("ann", "ben", None)
    assert ANN not in repr(Settings(tmp_path, keys=keys))
    file.write_text(f"{ANN}\nann:short\n{line_of('ann', ANN)}\n{line_of('ann', BEN)}\n")
    with pytest.raises(InputError) as caught:
        read_keys(file)
    assert [finding.row for finding in caught.value.findings] == [1, 2, 4]
    assert ANN not in str(caught.value)


def test_what_is_gone_from_the_data_folder_is_said(client):
    job = client.post("/v1/solve", json=SMALL).json()["job"]
    folder = client.app.state.service.settings.jobs_folder
    (folder / job / "result.json").unlink()
    answer = client.get(f"/v1/jobs/{job}/result")
    assert (answer.status_code, "not in this server's data folder" in answer.text) == (409, True)
    folder.rename(folder.with_name("away"))
    try:
        answer = client.post("/v1/solve", json=SMALL)
    finally:
        folder.with_name("away").rename(folder)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "cannot keep the request: No such file" in answer.text
    assert client.post("/v1/solve", json=SMALL).status_code == 200


def test_metrics_are_told_while_the_database_is_away(client, monkeypatch):
    def away(_: object) -> None:
        raise UnavailableError("away")

    assert "allocate_database_up 1.0" in client.get("/metrics").text
    monkeypatch.setattr("allocator.service.jobs.store.reading", away)
    told = client.get("/metrics").text
    assert "allocate_database_up 0.0" in told
    assert "allocate_requests_total" in told


def test_an_answer_is_not_many_times_what_was_sent(client, plan):
    body = {
        "plan": plan,
        "requests": [{"request_id": "r", "value": dict.fromkeys(map(str, range(3000)), "x")}],
    }
    answer = client.post("/v1/decide", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1000
    assert answer.json()["detail"].endswith("... and 2,000 more")
