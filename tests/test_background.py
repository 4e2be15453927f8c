from __future__ import annotations

import threading

from clarify_widget.background import Lane

PATIENCE = 20


def test_tasks_run_in_order_and_one_at_a_time():
    lane, done, ran = Lane("test"), threading.Event(), []
    for number in range(50):
        lane.submit(lambda number=number: ran.append(number))
    lane.submit(done.set)

    assert done.wait(PATIENCE)
    assert ran == list(range(50))


def test_latest_task_takes_the_place_of_those_that_wait():
    lane, started, gate, done = Lane("test"), threading.Event(), threading.Event(), threading.Event()
    ran, dropped = [], []

    def first():
        started.set()
        gate.wait(PATIENCE)
        ran.append("first")

    lane.submit_latest(first, drop=lambda: dropped.append("first"))
    assert started.wait(PATIENCE)
    lane.submit_latest(lambda: ran.append("second"), drop=lambda: dropped.append("second"))
    assert lane.waiting
    lane.submit_latest(done.set, drop=lambda: dropped.append("third"))
    gate.set()

    assert done.wait(PATIENCE)
    assert (ran, dropped) == (["first"], ["second"])


def test_failing_task_is_logged_and_the_next_one_runs(caplog):
    lane, done = Lane("test"), threading.Event()
    lane.submit(lambda: 1 / 0)
    lane.submit(done.set)

    assert done.wait(PATIENCE)
    assert "ZeroDivisionError" in caplog.text


def test_no_thread_stays_behind():
    lane, threads = Lane("test"), []
    gate = threading.Event()
    lane.submit(lambda: (threads.append(threading.current_thread()), gate.set()))
    assert gate.wait(PATIENCE)

    threads[0].join(PATIENCE)

    assert not threads[0].is_alive()
