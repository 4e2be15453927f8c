"""The attributes that a model leans on, as pages look at them and as people judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clarify_widget.session import presentation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clarify_widget.discovery.discrepancy import Discrepancies
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.session import Session
    from clarify_widget.widget.requests import Answer, Handler, Request

_MOST_A_CLASS = 500


class AttributesPanel:
    """The table of attributes of a widget.

    Parameters
    ----------
    session
        Keeps what people judge.
    found
        What `Session.attributes` returned.
    number
        Tells these from others that were shown before.
    """

    def __init__(self, session: Session, found: Discrepancies, number: int) -> None:
        self._session = session
        self._found = found
        self.number = number

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What a page may ask for."""
        return {"attributes": self._answer_attributes, "judge": self._answer_judge}

    def as_json(self) -> Json:
        """Return what pages show of all classes; the table of one class is asked for."""
        return presentation.attributes_json(self._session, self._found, self.number)

    def _answer_attributes(self, request: Request) -> Answer:
        rows = self._found.ranked(request.text("class_name"), most=_MOST_A_CLASS)
        return {"number": self.number, "rows": [presentation.attribute_json(row) for row in rows]}, []

    def _answer_judge(self, request: Request) -> Answer:
        class_name, attribute = request.text("class_name"), request.text("attribute")
        found = self._found.ranked(class_name)
        threshold = next((row.threshold for row in found if row.attribute == attribute), None)
        verdict: Any = request.text_or_none("verdict")  # `judge` says what it may be
        self._session.judge(class_name, attribute, verdict, threshold)
        return {}, []
