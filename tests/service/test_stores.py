"""Jobs and plans in the database, on SQLite and on a real PostgreSQL server; and a service on the latter."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from allocator.online import OnlinePlan
from allocator.service.database import connect, create_tables, writing
from allocator.service.error_documents import ServiceError
from allocator.service.jobs.job_request import folder_id
from allocator.service.jobs.store import MOST_ATTEMPTS, Job, JobStatus, JobStore, jobs
from allocator.service.metrics import Metrics
from allocator.service.plans.live import Plans
from allocator.service.plans.store import EVERYONE, PlanStore, StoredPlan
from allocator.service.settings import Settings
from support.online_plans import request, row, small_plan
from support.services import SMALL, finished, served

LANES = ("small", "large")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    sqlite = f"sqlite:///{tmp_path / 'service.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    made = connect(url)
    create_tables(made)
    yield made
    made.dispose()


def job(number: int, **changes: object) -> Job:
    made = Job(f"{number:032x}", "ann", "solve", "small", JobStatus.QUEUED, None, "digest", 1000.0 + number)
    return replace(made, **changes)


def test_each_job_is_taken_once_and_the_oldest_first(engine):
    servers = [JobStore(engine, name) for name in ("one", "two", "three", "four")]
    for number in range(20):
        servers[0].add(job(number), 100)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda i: servers[i % 4].take(LANES), range(24)))
    found = [each.id for each in taken if each is not None]
    assert sorted(found) == [f"{number:032x}" for number in range(20)]
    assert servers[0].take(LANES) is None
    assert servers[0].counts() == {"queued": 0, "running": 20, "done": 0, "failed": 0, "cancelled": 0}


def test_a_slot_takes_only_its_lanes(engine):
    store = JobStore(engine, "one")
    store.add(job(1, lane="large"), 100)
    assert store.take(("small",)) is None
    assert store.take(LANES).id == job(1).id


def test_only_servers_that_share_the_folder_of_a_jobs_files_take_it(engine, tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = (folder_id(tmp_path / name) for name in ("here", "there"))
    assert (folder_id(tmp_path / "here"), here == there) == (here, False)
    one, two, three = (JobStore(engine, str(k), folder) for k, folder in enumerate((here, there, here)))
    one.add(job(1, folder=here), 9)
    assert two.take(LANES) is None
    taken = three.take(LANES)
    assert (taken.id, taken.folder) == (job(1).id, here)


def test_job_goes_back_only_when_nobody_holds_it(engine):
    one, two = JobStore(engine, "one"), JobStore(engine, "two")
    one.add(job(1), 100)
    assert one.take(LANES).attempts == 1
    assert two.recover() == 0
    assert one.renew({job(1).id: {"step": "prices", "done": 1, "total": 2}}) == {job(1).id}
    assert two.get(job(1).id).progress == {"step": "prices", "done": 1, "total": 2}
    with writing(engine) as connection:  # as if the first server had been gone for a while
        connection.execute(sa.update(jobs).values(held_until=time.time() - 1))
    assert two.recover() == 1
    assert two.take(LANES).attempts == 2
    assert not one.finish(job(1).id, JobStatus.DONE)
    assert one.renew({job(1).id: {}}) == set()
    assert two.finish(job(1).id, JobStatus.FAILED, {"title": "why"})
    assert one.get(job(1).id).problem == {"title": "why"}
    assert MOST_ATTEMPTS > 2


def test_what_a_stopped_server_did_is_not_counted_as_tried(engine):
    store = JobStore(engine, "one")
    store.add(job(1), 100)
    store.take(LANES)
    assert store.release() == 1
    found = store.get(job(1).id)
    assert (found.status, found.attempts, found.server) == (JobStatus.QUEUED, 0, None)


def test_cancelled_job_cannot_be_finished_and_only_what_is_over_deleted(engine):
    store = JobStore(engine, "one")
    store.add(job(1), 100)
    store.take(LANES)
    assert not store.delete(job(1).id)
    assert store.cancel(job(1).id)
    assert not store.cancel(job(1).id)
    assert not store.finish(job(1).id, JobStatus.DONE)
    assert store.over_before(time.time() + 1) == [job(1).id]
    assert store.over_before(time.time() - 60) == []
    assert store.delete(job(1).id)
    assert store.get(job(1).id) is None


def test_one_idempotency_key_one_job_however_many_ask_at_once(engine):
    store = JobStore(engine, "one")
    asked = [job(number, idempotency_key="k") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ids = {found.id for found in pool.map(lambda each: store.add(each, 100), asked)}
    assert len(ids) == 1
    with pytest.raises(ServiceError, match="used for another request"):
        store.add(job(9, idempotency_key="k", request_digest="other"), 100)
    assert store.add(job(10, idempotency_key="k", owner="ben"), 100).id == job(10).id


def test_no_more_jobs_wait_than_may(engine):
    store = JobStore(engine, "one")
    store.add(job(1), 2)
    store.add(job(2), 2)
    with pytest.raises(ServiceError, match="2 jobs wait or run already") as caught:
        store.add(job(3), 2)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "5"})


def test_jobs_are_paged_by_owner_newest_first(engine):
    store = JobStore(engine, "one")
    for number in range(5):
        store.add(job(number, created_at=1000.0 + number // 2), 100)
    store.add(job(9, owner="ben"), 100)
    every = [found.id for found in store.of_owner("ann", None, None, 100)]
    assert every == [f"{number:032x}" for number in (4, 3, 2, 1, 0)]
    assert [found.id for found in store.of_owner("ann", None, every[1], 2)] == every[2:4]
    assert store.of_owner("ann", JobStatus.DONE, None, 100) == []
    assert store.of_owner("ann", None, job(9).id, 100) == []


def test_a_plans_id_is_given_once(engine):
    store = PlanStore(engine)
    first = store.add(StoredPlan("spring", "ann", 1.5, "{}"))
    assert store.add(StoredPlan("spring", "ben", 2.5, "{ }")) == first == store.get("spring")
    store.add(StoredPlan("all", EVERYONE, 0.5, "{}"))
    assert [plan.id for plan in store.of_owner("ann", 9)] == ["spring", "all"]
    assert [plan.id for plan in store.of_owner("ben", 9)] == ["all"]
    store.delete("spring")
    assert store.get("spring") is None


def test_a_plan_that_gets_an_old_ones_id_has_limits_of_its_own_on_every_server(engine, tmp_path, monkeypatch):
    def sent(total: float) -> OnlinePlan:
        return small_plan(total=total, rows=(row("total", "count", at_most=total),))

    async def ask(plans: Plans, *ids: str) -> list[str | None]:
        at_work = await plans.get("spring", "ann")
        given = await at_work.decisions.do([request(each) for each in ids])
        return [one.reservations[0].coupon_id for one in given]

    async def go() -> None:
        settings, metrics = Settings(tmp_path), Metrics()
        one, two = (Plans(settings, metrics, engine, JobStore(engine, name)) for name in ("one", "two"))
        await one.add(sent(9.0), "ann")
        assert await ask(one, "1") + await ask(two, "2") == ["A", "A"]
        await one.delete("spring", "ann")
        await one.add(sent(1.0), "ann")
        await ask(two, "3", "4")  # it may not have heard of it
        assert await ask(one, "5", "6") == ["A", None]
        monkeypatch.setattr("allocator.service.plans.live.LOOK_SECONDS", 0.0)
        assert await ask(two, "5", "7") == ["A", None]
        assert (await one.standings(await one.get("spring", "ann")))[0].held == 1.0
        await one.delete("spring", "ann")
        with pytest.raises(ServiceError, match="no plan of this id"):
            await ask(two, "8")
        await asyncio.gather(one.stop(), two.stop())

    asyncio.run(go())


def test_service_keeps_everything_in_postgresql(postgres, tmp_path):
    options = ("--database", postgres.new_database())
    with served(tmp_path, *options) as first:
        client = first.ready()
        job_id = client.post("/v1/solve", json=SMALL, headers={"Prefer": "respond-async"}).json()["id"]
        assert finished(client, job_id)["status"] == "done"
        ask = {"request_id": "r1", "value": {"C1": 9.0}, "measures": {"cost": {"C1": 1.0}}}
        given = client.post("/v1/decide", json={"plan": job_id, "requests": [ask]}).json()["decisions"]
        assert given[0]["coupon_id"] == "C1"
        assert first.end() == 0
    assert not (tmp_path / "allocate.db").exists()
    with served(tmp_path, *options) as second:
        client = second.ready()
        again = client.post("/v1/decide", json={"plan": job_id, "requests": [ask]}).json()["decisions"]
        assert again == [{**given[0], "replayed": True}]
        assert client.get(f"/v1/plans/{job_id}").json()["rows"][0]["held"] == 1
