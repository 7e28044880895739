"""The real `allocate serve`: started, called over sockets, told to stop, killed, started again."""

import json
import os
import signal
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from allocator import run_campaign
from support.services import SMALL, finished, hard, is_alive, log_documents, served, wait_for


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with served(tmp_path_factory.mktemp("served"), "--log-json", "--max-body", "100K") as service:
        yield service, service.ready()


def decide(client: httpx2.Client, plan: str, request_id: str, cost: float = 1.0) -> dict[str, Any]:
    request = {"request_id": request_id, "value": {"C1": 9.0}, "measures": {"cost": {"C1": cost}}}
    answer = client.post("/v1/decide", json={"plan": plan, "requests": [request]})
    assert answer.status_code == 200, answer.text
    return answer.json()["decisions"][0]


def held(client: httpx2.Client, plan: str) -> float:
    return client.get(f"/v1/plans/{plan}").json()["rows"][0]["held"]


def test_says_where_it_listens_and_logs_one_line_a_request(running):
    service, client = running
    assert service.log[0].startswith(f"Allocate listens at {service.url} for everyone on this machine")
    client.get("/healthz?user=secret", headers={"X-Request-ID": "this-one"})
    wait_for(lambda: any("this-one" in line for line in service.log))
    (line,) = [each for each in log_documents(service.log) if each.get("id") == "this-one"]
    assert (line["route"], line["status"], line["key"]) == ("/healthz", 200, "-")
    assert not any("secret" in each for each in service.log)


def test_64_clients_fight_for_the_last_units(running):
    _, client = running
    body = {**SMALL, "limits": [{"kind": "budget", "label": "total", "at_most": 20}]}
    plan = client.post("/v1/solve", json=body).json()["plan"]
    with httpx2.Client(
        base_url=client.base_url, limits=httpx2.Limits(max_connections=64), timeout=60
    ) as many:
        ask = [f"r{i % 160}" for i in range(320)]  # each request twice, perhaps at once
        with ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(lambda request_id: decide(many, plan, request_id), ask))
    given = {request_id for request_id, answer in zip(ask, answers, strict=True) if answer["coupon_id"]}
    assert len(given) == 20
    assert held(client, plan) == 20
    by_request = {request_id: answer["coupon_id"] for request_id, answer in zip(ask, answers, strict=True)}
    assert all(by_request[r] == answer["coupon_id"] for r, answer in zip(ask, answers, strict=True))


def test_body_is_measured_while_it_arrives(running):
    _, client = running

    def chunks():
        for _ in range(200):
            yield b" " * 1024

    answer = client.post("/v1/solve", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "100,0" not in answer.text
    assert "102,400 bytes" in answer.json()["detail"]
    assert client.post("/v1/solve", json=SMALL).status_code == 200


@pytest.mark.parametrize("path", ["/../etc/passwd", "/v1/jobs/..%2f..%2fetc%2fpasswd/result", "/docs/..%2f"])
def test_no_path_leads_to_a_file(running, path):
    _, client = running
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 404 " in answer.split(b"\r\n")[0]
    assert b"root:" not in answer


def test_cancelled_job_stops_its_process_and_another_takes_its_place(running):
    service, client = running
    before = set(service.children())
    job = client.post("/v1/solve", json=hard(), headers={"Prefer": "respond-async"}).json()["id"]
    wait_for(lambda: (client.get(f"/v1/jobs/{job}").json()["progress"] or {}).get("step") == "exact")
    assert client.delete(f"/v1/jobs/{job}").json()["status"] == "cancelled"
    (gone,) = wait_for(lambda: before - set(service.children()))
    assert not is_alive(gone)
    again = client.post("/v1/solve", json=SMALL, headers={"Prefer": "respond-async"}).json()["id"]
    assert finished(client, again)["status"] == "done"


def test_job_whose_process_dies_is_tried_again_but_not_forever(running):
    service, client = running
    job = client.post("/v1/solve", json=hard(), headers={"Prefer": "respond-async"}).json()["id"]
    for attempt in (1, 2, 3):
        wait_for(lambda: (client.get(f"/v1/jobs/{job}").json()["progress"] or {}).get("step") == "exact")
        for pid in service.children():
            os.kill(pid, signal.SIGKILL)
        if attempt < 3:
            wait_for(lambda n=attempt: sum("tried again" in line for line in service.log) == n)
    document = finished(client, job)
    assert (document["status"], document["problem"]["title"]) == ("failed", "No process")
    assert client.post("/v1/solve", json=SMALL).json()["objective"] == 13


def test_sigterm_finishes_requests_and_gives_running_jobs_back(tmp_path):
    with served(tmp_path) as service:
        client = service.ready()
        job = client.post("/v1/solve", json=hard(), headers={"Prefer": "respond-async"}).json()["id"]
        wait_for(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "running")
        workers = service.children()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.post, "/v1/solve", json=SMALL)
            wait_for(lambda: client.get("/v1/jobs?limit=1").json()["jobs"][0]["id"] != job)
            assert service.end(signal.SIGTERM) == 0
            assert answer.result().json()["objective"] == 13
        assert not any(map(is_alive, workers))
        assert "Traceback" not in "".join(service.log)
    database = sqlite3.connect(tmp_path / "allocate.db")
    assert database.execute("select status, attempts from jobs where id = ?", [job]).fetchone() == (
        "queued",
        0,
    )
    database.close()


def test_kill_9_loses_nothing(tmp_path):
    quick = {**hard(8, 5), "method": "auto"}
    with served(tmp_path) as first:
        client = first.ready()
        done = client.post("/v1/solve", json=SMALL).json()
        for i in range(4):
            decide(client, done["plan"], f"r{i}")
        slow = {**hard(), "time_limit": 2}
        jobs = [
            client.post("/v1/solve", json=body, headers={"Prefer": "respond-async"}).json()["id"]
            for body in (slow, quick)
        ]
        wait_for(lambda: (client.get(f"/v1/jobs/{jobs[0]}").json()["progress"] or {}).get("step") == "exact")
        workers = first.children()
        first.end(signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, workers)), 5)  # they notice that they are alone
    with served(tmp_path) as second:
        client = second.ready()
        assert client.get(f"/v1/jobs/{done['job']}/result").json() == done
        assert held(client, done["plan"]) == 4
        assert decide(client, done["plan"], "r3")["replayed"]
        assert [decide(client, done["plan"], f"r{i}")["coupon_id"] for i in (4, 5, 6)] == ["C1", "C1", None]
        states = {job: finished(client, job)["status"] for job in jobs}
        assert states == dict.fromkeys(jobs, "done")


def test_keys_open_the_service_and_nothing_of_them_is_stored(tmp_path, command):
    made = command("serve", "--new-key", "crm")
    key = made.err.split("only now: ")[1].split()[0]
    assert key not in made.out
    keys = tmp_path / "keys"
    keys.write_text(made.out)
    env = {"ALLOCATE_API_KEYS": command("serve", "--new-key", "ops").out.strip()}
    with served(
        tmp_path / "data", "--keys", str(keys), "--host", "0.0.0.0", "--open-metrics", env=env
    ) as service:
        assert "for crm, ops" in service.log[0]
        service.url = service.url.replace("0.0.0.0", "127.0.0.1")
        client = service.ready()
        assert client.get("/metrics").status_code == 200
        assert client.get("/v1/jobs").status_code == 401
        own = service.client(key)
        assert own.get("/v1/jobs", headers={"host": "allocate.example"}).status_code == 200
        assert own.post("/v1/solve", json=SMALL).status_code == 200
        wait_for(lambda: any("route=/v1/solve" in line and "key=crm" in line for line in service.log))
        assert key not in "".join(service.log)
    stored = [file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert not any(key.encode() in content for content in stored)


def test_plan_of_a_run_folder_decides_from_the_start(tmp_path, command, tiny):
    run = tmp_path / "spring"
    run_campaign(tiny.path, run, copy=False)
    with served(tmp_path / "data", "--plan", str(run)) as service:
        client = service.client()
        assert decide(client, "spring", "r1")["coupon_id"] == "C1"
        assert held(client, "spring") == 1
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps(plan | {"users": 5}))
    refused = command("serve", "--port", "0", "--data", tmp_path / "data", "--plan", run)
    assert refused.code == 3
    assert "another plan is stored as 'spring'" in refused.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--host", "0.0.0.0"], 3, "without API keys the service listens only on this machine"),
        (["--campaigns", "nowhere"], 3, "there is no folder nowhere"),
        (["--max-body", "much"], 2, "write 500K or 64M"),
        (["--database", "mysql://x/y"], 3, "no support for databases of kind 'mysql'"),
        (["--keys", "none.txt"], 3, "the keys cannot be read"),
        (["--plan", "nowhere"], 3, "there is no online plan here"),
        (["--data", "/dev/null"], 3, "this cannot be the data folder"),
        (["--hold-days", "1e9"], 2, "not in the range"),
    ],
)  # fmt: skip
def test_service_that_cannot_start_says_why(tmp_path, command, options, code, says):
    outcome = command("serve", "--port", "0", "--data", tmp_path / "data", *options)
    assert outcome.code == code
    assert says in outcome.err
    assert "Traceback" not in outcome.err


def test_two_services_do_not_share_a_data_folder_or_a_port(running, command, tmp_path):
    service, client = running
    data = service.log[1].split("Jobs and counters are in ")[1].split(". Ctrl-C")[0]
    taken = command("serve", "--port", "0", "--data", data)
    assert (taken.code, "another server uses this data folder" in taken.err) == (3, True)
    taken = command("serve", "--port", client.base_url.port, "--data", tmp_path)
    assert (taken.code, "cannot listen there" in taken.err) == (3, True)


def test_missing_extra_is_named(command, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'fastapi' else find(name, *a)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    outcome = command("serve", env={**os.environ, "PYTHONPATH": path})
    assert outcome.code == 7
    assert "pip install 'allocate[serve]'" in outcome.err
