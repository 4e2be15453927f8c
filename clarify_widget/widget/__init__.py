"""The loop as a notebook widget: traits and messages over a Session."""

from clarify_widget.widget.widget import ClarifyWidget

__all__ = ["ClarifyWidget"]
