"""Every error that this project raises on purpose.

One root, :class:`RLKDError`; each child also inherits the standard-library error that fits, so that
``except ValueError`` keeps working. A :class:`UserError` is one clear sentence (what is wrong, where,
how to mend it) that the command line prints without a traceback, exit code 2.
"""

from __future__ import annotations


class RLKDError(Exception):
    """Root of all errors of this project."""


class UserError(RLKDError, ValueError):
    """Something that the user can mend: a setting, a file, a key, an endpoint."""


class ConfigError(UserError):
    """The configuration is wrong; the message lists every fault at once."""


class DataError(UserError):
    """A dataset, file or row cannot be used."""


class CheckpointError(UserError):
    """A model or tokenizer folder cannot be used."""


class WorldError(UserError):
    """A built-in world cannot make the problems that were asked for."""


class StageError(RLKDError, RuntimeError):
    """A stage failed or refused; the message says which, why, and how to resume."""


class TrainingError(StageError):
    """Training stopped: NaN in the loss, too many missing rewards, cut off before its last step."""


class EndpointError(RLKDError, ConnectionError):
    """A model endpoint did not answer usefully; the score is missing, never zero."""


class MissingScoreError(StageError):
    """More scores are missing than the configured share allows."""
