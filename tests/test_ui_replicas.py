"""Two replicas of the API behind nginx answer as one, while a rebuild switches under them."""

from __future__ import annotations

import asyncio
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rag.config import Settings
from rag.writer_lock import writing
from tests.crowd import TALKS, answers_of, beside, crowd
from tests.replicas import KEY, MARKS, NAME, front_end, missing_for_nginx, rebuild, write_guides
from ui.ready import ensure_index

needs_nginx = pytest.mark.skipif(bool(missing_for_nginx()), reason=f"not installed: {missing_for_nginx()}")
PATIENTS = 30


@pytest.fixture(scope="module")
def running(built_home, tmp_path_factory):
    """A home with the first edition of the sheets, two replicas over it, and nginx before them."""
    folder = tmp_path_factory.mktemp("replicas")
    home = folder / "home"
    shutil.copytree(built_home, home)
    marks = {rebuild(home, folder / "guides", MARKS[0]): MARKS[0]}
    with front_end(home, folder / "nginx") as front:
        yield front, home, folder / "guides", marks


@needs_nginx
def test_a_crowd_sees_no_error_and_no_mixed_generation_while_a_rebuild_takes_over(running):
    front, home, guides, marks = running

    async def during() -> tuple:
        async with beside(lambda: rebuild(home, guides, MARKS[1])) as building:
            heard = await crowd(front, PATIENTS, lambda: not building.done())
        after = await crowd(front, 6, lambda: False)
        return heard, after, building.result()

    heard, after, newest = asyncio.run(during())
    marks[newest] = MARKS[1]
    assert not heard.faults and not after.faults, (heard.faults[:5], after.faults[:5])
    assert heard.requests >= PATIENTS and heard.replies_with_marks and not heard.mixed(marks)
    assert set(heard.generations) <= set(marks) and set(after.generations) == {newest}
    assert after.marks == {newest: {MARKS[1]}}


@needs_nginx
def test_replicas_answer_alike_whatever_each_remembers(running):
    """The first is asked turn by turn, the second for the last turn alone: nothing of the talk is known there."""
    front, *_ = running
    turns = [[list(talk[: count + 1]) for count in range(len(talk))] for talk in TALKS]
    warm = asyncio.run(answers_of(front.replicas[0], [said for talk in turns for said in talk]))
    cold = asyncio.run(answers_of(front.replicas[1], [talk[-1] for talk in turns]))
    last = [count - 1 for count in _running_total(map(len, turns))]
    assert [warm[place] for place in last] == cold


def _running_total(counts) -> list[int]:
    total, found = 0, []
    for count in counts:
        total += count
        found.append(total)
    return found


@needs_nginx
def test_a_stream_comes_through_sentence_by_sentence_and_the_key_is_still_asked_for(running):
    front, *_ = running

    async def look() -> tuple:
        body = {"model": "daozhen", "messages": [{"role": "user", "content": "膝盖疼，上下楼不舒服"}], "stream": True}
        async with front.client() as client:
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                pieces = [piece async for piece in response.aiter_raw()]
            wrong = await client.get("/v1/models", headers={"Authorization": "Bearer wrong"})
            health = await client.get("/health")
            strange = await client.get("/", headers={"Origin": "https://elsewhere.example"})
            return pieces, wrong, health, strange

    pieces, wrong, health, strange = asyncio.run(look())
    assert len(pieces) > 3 and b"urgency" in b"".join(pieces[:3])
    assert wrong.status_code == 401 and KEY not in wrong.text
    assert health.json()["status"] == "ok" and strange.status_code == 403


@needs_nginx
def test_a_replica_that_stops_is_not_noticed(running):
    front, *_ = running

    async def stop() -> object:
        async with beside(front.servers[1].terminate):
            heard = await crowd(front, 12, lambda: False)
        front.servers[1].wait(30)
        return heard, await crowd(front, 6, lambda: False)

    during, after = asyncio.run(stop())
    assert not during.faults and not after.faults, (during.faults[:3], after.faults[:3])


@needs_nginx
def test_the_log_holds_no_word_of_a_patient(running, tmp_path):
    front, *_ = running
    response = httpx.get(f"{front.https}/v1/models?said=膝盖疼", verify=False, headers={"Host": NAME})
    httpx.get(f"{front.https}/v1/膝盖疼", verify=False, headers={"Host": NAME})
    log, deadline = "", time.monotonic() + 10
    while "(other)" not in log and time.monotonic() < deadline:  # written once the answer is out
        log = (front.certificate.parent / "daozhen.log").read_text(encoding="utf-8")
    assert response.status_code == 401 and "/v1/models 401" in log and "(other) 401" in log
    assert not any(word in log for word in ("said", "%E8", "膝", "\\x"))


def test_the_sheets_bear_their_edition(tmp_path):
    write_guides(tmp_path, "甲")
    assert all("甲版" in path.read_text(encoding="utf-8") for path in tmp_path.iterdir())


def test_a_replica_waits_for_the_index_that_another_is_building(built_home, tmp_path, capsys):
    index = tmp_path / "index"
    index.mkdir()
    with writing(index), ThreadPoolExecutor(1) as pool:
        starting = pool.submit(ensure_index, Settings(tmp_path))
        while "is writing the index" not in capsys.readouterr().err:
            assert not starting.done(), starting.result()
            time.sleep(0.01)
        shutil.copytree(built_home / "index" / "generations", tmp_path / "copied")
        (tmp_path / "copied").rename(index / "generations")
        shutil.copy(built_home / "index" / "CURRENT", index / "CURRENT")
        starting.result(60)
