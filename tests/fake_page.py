"""A page without a browser: it sits on the other end of a widget's comm and speaks the protocol."""

from __future__ import annotations

import itertools
import threading

import comm
import ipywidgets
import numpy as np

PATIENCE = 20  # seconds until a missing answer is a failure


def replace_comms(monkeypatch, create):
    """Let widgets open their comms with `create`; ipywidgets 7 names the class of a comm in two places."""
    monkeypatch.setattr(comm, "create_comm", create)
    monkeypatch.setattr("ipywidgets.widgets.widget.Comm", create, raising=False)
    monkeypatch.setattr(ipywidgets.Widget.comm, "klass", object, raising=False)


class FakePage:
    """Stands in for comm and page; `state` is what the page would show."""

    kernel = "a fake one"

    def __init__(self, comm_id="fake", data=None, buffers=None, **_others):
        self.comm_id = comm_id
        self.state = {}
        self.updates = []  # the state of each update message, buffers put in
        self.messages = []  # "examples", or the names of the traits that came together, in their order
        self.answers = {}
        self.closed = False
        self.sent_key = ""
        self._ids = itertools.count()
        self._arrived = threading.Condition()
        self._deliver = None
        self._take(data["state"], data.get("buffer_paths", []), buffers or [])

    # what ipywidgets expects of a comm

    def on_msg(self, deliver):
        self._deliver = deliver

    def close(self):
        self.closed = True

    def send(self, data=None, buffers=None, **_others):
        with self._arrived:
            if data["method"] == "update":
                state = self._take(data["state"], data["buffer_paths"], buffers or [])
                self.updates.append(state)
                self.messages += list(state)
            elif data["method"] == "custom":
                content = data["content"]
                if content.get("type") == "examples":
                    self._take_examples(content, [bytes(buffer) for buffer in buffers])
                    return
                assert content["id"] not in self.answers, "a request got a second answer"
                self.answers[content["id"]] = (content, buffers or [])
            self._arrived.notify_all()

    # what a person does

    def ask(self, type_, **fields):
        request_id = f"fake-{next(self._ids)}"
        content = {"id": request_id, "type": type_, **fields}
        self._deliver({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        return request_id

    def answer(self, request_id):
        with self._arrived:
            assert self._arrived.wait_for(lambda: request_id in self.answers, PATIENCE), "no answer came"
            return self.answers[request_id]

    def request(self, type_, **fields):
        """Ask and wait; returns the result, or raises AssertionError with the error that came."""
        content, _ = self.answer(self.ask(type_, **fields))
        assert content["ok"], content["error"]
        return content["result"]

    def refused(self, type_, **fields):
        """Ask and wait; returns the error."""
        content, _ = self.answer(self.ask(type_, **fields))
        assert not content["ok"], content
        return content["error"]

    def write(self, **state):
        data = {"method": "update", "state": state, "buffer_paths": []}
        self._deliver({"content": {"data": data}, "buffers": []})

    def wait_until(self, condition):
        with self._arrived:
            assert self._arrived.wait_for(lambda: condition(self.state), PATIENCE), self.state["status"]

    def updates_of(self, name):
        """The update messages that wrote a trait."""
        return [update for update in self.updates if name in update]

    def examples(self):
        """(rows, similarities, correct) that the page would draw."""
        assert self.state["examples_key"] == self.sent_key, "the trait names other examples than were sent"
        return unpack_examples(self.similarities, self.members)

    def _take_examples(self, about, buffers):
        self.messages.append("examples")
        self.similarities, *members = buffers
        if members:
            self.members, self.confidences = members
            self.members_name = about["members"]
        assert about["members"] == self.members_name, "similarities of images that were never sent"
        self.sent_key = about["key"]

    def _take(self, state, paths, buffers):
        state = {**state, **{path[0]: bytes(buffer) for path, buffer in zip(paths, buffers, strict=True)}}
        self.state.update(state)
        return state


def unpack_examples(similarities, members):
    """Return (rows, similarities, correct); NaN without similarities."""
    n = len(members) // 5
    rows = np.frombuffer(members, "<i4", n)
    correct = np.frombuffer(members, "u1", n, offset=4 * n).astype(bool)
    similar = np.frombuffer(similarities, "<f4") if similarities else np.full(n, np.nan)
    assert len(similar) == n, "the similarities are those of other images"
    return rows, similar, correct
