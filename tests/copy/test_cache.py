"""Hooks are kept on disk: a run that was stopped goes on, and ends as it would have ended."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from allocator.plugins.copy import Brief, Offer
from copygen import HttpWriter, cache
from support.chat_server import Asked, ChatServer, Reply, failed, said
from support.paths import ROOT

pytest.importorskip("httpx2", reason="needs the extra: pip install '.[copy-http]' in a checkout of Allocate")

WORDS = ("Slow", "Bright", "Quiet", "Easy", "Warm", "Little", "Cosy", "Sunny")
PLEASURES = ("mornings", "evenings", "moments", "weekends", "suppers", "corners")
CATEGORIES = [f"{one} {two}" for one in ("green", "brown", "round", "tall", "old", "wild", "plain") for two in
              ("lamps", "rugs", "cups", "vases", "chairs", "clocks")]  # fmt: skip

pytestmark = pytest.mark.usefixtures("no_key_and_no_proxy")


def answer(asked: Asked) -> Reply:
    """Return hooks that depend on the question alone."""
    number = sum(map(ord, asked.question))
    texts = [
        f"{WORDS[(number + i) % 8]} {PLEASURES[(number // 8 + i) % 6]} made for sharing" for i in range(2)
    ]
    return said(*texts)


def briefs(number: int = len(CATEGORIES)) -> list[Brief]:
    offers = [
        Offer(f"C{i}", "percent", 15, "USD", f"SAVE{i}5", category=category)
        for i, category in enumerate(CATEGORIES[:number])
    ]
    return [Brief(offer, "everyone", "push", "en", "Acme", "warm") for offer in offers]


def writer(server: ChatServer, **options: Any) -> HttpWriter:
    return HttpWriter(
        **{"base_url": server.base_url, "model": "m", "candidates": 2, "max_attempts": 1} | options
    )


def steps_of(
    server: ChatServer, folder: Path, asked: list[Brief], **options: Any
) -> tuple[list[Any], list[str]]:
    steps: list[str] = []
    copies = writer(server, cache=str(folder), **options).write(
        asked, seed=7, progress=lambda step, done, total: steps.append(step)
    )
    return copies, steps


# A run that is stopped


def campaign(folder: Path, server: ChatServer, cache_folder: Path) -> Path:
    folder.mkdir()
    users, coupons = range(len(CATEGORIES)), enumerate(CATEGORIES)
    (folder / "campaign.toml").write_text(
        'schema = 1\nname = "tiny"\nas_of = 2026-06-01\n[copy]\nwriter = "http"\n[copy.options]\n'
        f'model = "m"\nbase_url = "{server.base_url}"\ncandidates = 2\ncache = "{cache_folder}"\n'
    )
    (folder / "users.csv").write_text("user_id\n" + "".join(f"u{i}\n" for i in users))
    (folder / "coupons.csv").write_text(
        "coupon_id,kind,value,category\n" + "".join(f"C{i},percent,{i + 5},{c}\n" for i, c in coupons)
    )
    (folder / "scores.csv").write_text(
        "user_id,coupon_id,value,cost\n" + "".join(f"u{i},C{i},2,1\n" for i in users)
    )
    return folder


def test_a_run_killed_in_the_middle_goes_on_and_ends_the_same(allocate: Any, tmp_path: Path) -> None:
    enough = threading.Event()

    def until_enough(asked: Asked) -> Reply:
        if len(server.asked) > 24 and not enough.is_set():
            process.send_signal(signal.SIGKILL)
            enough.set()
        return answer(asked)

    with ChatServer(until_enough) as server:
        shop = campaign(tmp_path / "shop", server, tmp_path / "kept")
        assert allocate("solve", shop, "--out", shop / "plan").code == 0
        call = [sys.executable, "-m", "cli", "copy", str(shop / "plan"), "--out"]
        process = subprocess.Popen([*call, str(shop / "first")], cwd=ROOT, env=os.environ)
        assert process.wait(60) == -signal.SIGKILL
        assert not (shop / "first").exists()
        killed_at = len(server.asked)
        assert allocate("copy", shop / "plan", "--out", shop / "second").code == 0
        times = Counter(asked.question for asked in server.asked)
        # What was asked twice was under way when the run was killed: at most one batch.
        assert len(times) == len(CATEGORIES)
        assert sum(count - 1 for count in times.values()) <= killed_at - 16 < 16
        resumed, asked_so_far = (shop / "second" / "copy.csv").read_bytes(), len(server.asked)
        assert allocate("copy", shop / "plan", "--out", shop / "third").code == 0
        assert len(server.asked) == asked_so_far  # all of it is kept by now
        (tmp_path / "kept" / cache.FILE).unlink()
        assert allocate("copy", shop / "plan", "--out", shop / "whole").code == 0
        assert len(server.asked) == asked_so_far + len(CATEGORIES)
    for name in ("third", "whole"):
        assert (shop / name / "copy.csv").read_bytes() == resumed
    assert resumed.decode().count(",model,http,") == len(CATEGORIES)


def test_an_interrupted_run_keeps_every_whole_batch(tmp_path: Path) -> None:
    def stop(step: str, done: int, total: int) -> None:
        assert total in (0, len(CATEGORIES))
        if done >= 33:
            raise KeyboardInterrupt

    with ChatServer(answer) as server:
        with pytest.raises(KeyboardInterrupt):
            writer(server, cache=str(tmp_path)).write(briefs(), seed=7, progress=stop)
        before = len({asked.question for asked in server.asked[:32]})
        asked_by_then = len(server.asked)
        writer(server, cache=str(tmp_path)).write(briefs(), seed=7)
    again = Counter(asked.question for asked in server.asked[:32])
    later = {asked.question for asked in server.asked[asked_by_then:]}
    assert before == 32
    assert not set(again) & later


# What is kept, and what not


def test_what_would_change_the_answer_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    with ChatServer(answer) as server:

        def asked(seed: int = 7, **options: Any) -> int:
            before = len(server.asked)
            writer(server, cache=str(tmp_path), **options).write(briefs(3), seed=seed)
            return len(server.asked) - before

        assert asked() == 3
        assert asked() == 0
        assert asked(timeout=5.0, retries=1, concurrency=2, max_attempts=3) == 0
        assert asked(seed=8) == 3
        assert asked(temperature=0.5) == 3
        assert asked(model="n") == 3
        assert asked(candidates=1) == 3
        writer(server, cache=False).write(briefs(3), seed=7)
        assert len(server.asked) == 18


def test_rules_and_data_of_another_version_ask_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(answer) as server:
        steps_of(server, tmp_path, briefs(2))
        monkeypatch.setattr(cache, "rules_digest", lambda: "of another version")
        steps_of(server, tmp_path, briefs(2))
    assert len(server.asked) == 4


def test_what_failed_is_not_kept(tmp_path: Path) -> None:
    broken = ["rugs"]
    with ChatServer(
        lambda asked: failed(400) if any(word in asked.question for word in broken) else answer(asked)
    ) as server:
        copies, _ = steps_of(server, tmp_path, briefs(2))
        assert "the endpoint failed" in copies[1].note
        broken.clear()
        asked_before = len(server.asked)
        copies, _ = steps_of(server, tmp_path, briefs(2))
    assert copies[1].note == ""
    assert copies[1].written_by == "model"
    assert len(server.asked) == asked_before + 1


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_KEPT", 20)
    with ChatServer(answer) as server:
        steps_of(server, tmp_path, briefs(40))
        steps_of(server, tmp_path, briefs(40))
    assert len(server.asked) == 60
    with sqlite3.connect(tmp_path / cache.FILE) as connection:
        assert connection.execute("SELECT count(*) FROM hooks").fetchone() == (20,)
    connection.close()


# A cache that cannot be used stops nobody


@pytest.mark.parametrize("content", [b"this is no database, " * 400, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_set_aside_and_the_run_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / cache.FILE).write_bytes(content)
    with ChatServer(answer) as server:
        copies, steps = steps_of(server, tmp_path, briefs(2))
        assert {copy.written_by for copy in copies} == {"model"}
        assert [step for step in steps if "damaged" in step and ".damaged" in step]
        _, steps = steps_of(server, tmp_path, briefs(2))
    assert len(server.asked) == 2
    assert not [step for step in steps if "damaged" in step]
    assert (tmp_path / cache.FILE).with_suffix(".damaged").read_bytes() == content


def test_a_damaged_entry_is_no_answer(tmp_path: Path) -> None:
    with ChatServer(answer) as server:
        first, _ = steps_of(server, tmp_path, briefs(2))
        with sqlite3.connect(tmp_path / cache.FILE) as connection:
            connection.execute("UPDATE hooks SET hooks = '[{\"txet\": 1}]'")
        connection.close()
        second, _ = steps_of(server, tmp_path, briefs(2))
    assert [copy.parts for copy in second] == [copy.parts for copy in first]


def test_where_nothing_can_be_kept_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with ChatServer(answer) as server:
        copies, steps = steps_of(server, tmp_path / "file" / "folder", briefs(2))
    assert {copy.written_by for copy in copies} == {"model"}
    assert [step for step in steps if step.startswith("hooks are not kept in")]


def test_several_writers_share_a_file(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def write(start: int) -> None:
        try:
            steps_of(server, tmp_path, briefs()[start::3])
        except BaseException as error:
            failures.append(error)

    with ChatServer(answer) as server:
        threads = [threading.Thread(target=write, args=(start,)) for start in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        steps_of(server, tmp_path, briefs())
    assert len(server.asked) == len(CATEGORIES)
