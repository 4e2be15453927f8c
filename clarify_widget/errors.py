"""What can go wrong, by type: each message says what was got, what was expected and what to do next."""

from __future__ import annotations


class ClarifyError(Exception):
    """Base of every error that this package raises on purpose."""


class DataError(ClarifyError, ValueError):
    """Arrays that do not fit: shapes, lengths, labels, NaN, or a data set without images."""


class UnknownClassError(ClarifyError, ValueError):
    """A class name that the data set does not have."""


class PhraseError(ClarifyError, ValueError):
    """A phrase that cannot be compared with images: empty or far too long."""


class ScoreError(ClarifyError, ValueError):
    """An Error Score that is undefined: a class without wrong, or without right, images."""


class EmptySliceError(ClarifyError, ValueError):
    """An annotation that leaves one side of its class without training images."""


class EncoderError(ClarifyError, RuntimeError):
    """An encoder that cannot be loaded, or that answers with the wrong shape."""


class CacheError(ClarifyError, OSError):
    """A cache folder that cannot be written to: read-only, full or not a folder."""


class ClusterError(ClarifyError, RuntimeError):
    """Workers on other machines that cannot be reached, or that fail again and again."""


class ImageReadError(ClarifyError, OSError):
    """An image that is missing, truncated or not an image."""


class NotFittedError(ClarifyError, RuntimeError):
    """A verb of the loop that was called before the one it depends on."""


class SavedSessionError(ClarifyError, RuntimeError):
    """A folder that is not a saved session, or one that belongs to other data."""


class MissingDependencyError(ClarifyError, ImportError):
    """An optional package that is needed for this and is not installed."""


class ProcessError(ClarifyError, RuntimeError):
    """One of several processes that train one head failed, ended or cannot be reached."""


class CancelledError(ClarifyError):
    """Work that stopped because the user asked for it; nothing was changed."""
