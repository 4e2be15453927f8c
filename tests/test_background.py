from __future__ import annotations

import threading

from clarify_widget.background import Lane, Restartable

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


def test_beginning_again_cancels_what_was_begun():
    work, ran, done = Restartable("test"), [], threading.Event()
    started = threading.Event()

    def endless(cancelled):
        started.set()
        while not cancelled():
            threading.Event().wait(0.01)
        ran.append("first, cancelled")

    def last(cancelled):
        ran.append(f"last, cancelled: {cancelled()}")
        done.set()

    work.begin(endless)
    assert started.wait(PATIENCE)
    work.begin(lambda _: ran.append("second"))
    work.begin(last)

    assert done.wait(PATIENCE)
    assert ran == ["first, cancelled", "last, cancelled: False"]


def test_stopped_work_knows_it_and_can_begin_again():
    work, gate, seen = Restartable("test"), threading.Event(), []
    started, done = threading.Event(), threading.Event()

    def first(cancelled):
        started.set()
        assert gate.wait(PATIENCE)
        seen.append(cancelled())

    def second(cancelled):
        seen.append(cancelled())
        done.set()

    work.begin(first)
    assert started.wait(PATIENCE)
    work.stop()
    work.stop()
    gate.set()
    work.begin(second)

    assert done.wait(PATIENCE)
    assert seen == [True, False]


def test_what_is_stopped_while_it_rests_does_not_begin():
    work, ran, done = Restartable("test", rest=0.05), [], threading.Event()
    work.begin(lambda _: ran.append("first"))
    work.begin(lambda _: ran.append("second"))
    work.stop()
    work.begin(lambda _: (ran.append("third"), done.set()))

    assert done.wait(PATIENCE)
    assert ran == ["third"]
