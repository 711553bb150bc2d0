"""The errors a person can cause or fix; every message says what was found and what is allowed."""


class MoweError(Exception):
    """Base of every error this project raises on purpose."""


class AudioError(MoweError):
    """A recording cannot be used: unreadable, empty, non-finite or over a limit."""


class QuestionError(MoweError):
    """An instruction cannot be used: empty, or longer than the limit."""


class WeightsError(MoweError):
    """A pretrained component is missing, changed or out of reach; the message names the fix."""


class CheckpointError(MoweError):
    """A trained checkpoint is incomplete, of another preset, or its components changed."""


class ManifestError(MoweError):
    """A training manifest line breaks the format; the message names the line and the field."""


class ConfigError(MoweError, ValueError):
    """A configuration value is outside what is allowed."""


class RecordsError(MoweError):
    """A records file cannot be used: damaged, of another version, or of another mixture."""


class LogError(MoweError):
    """A training log cannot be used: unreadable, of another format, or without a loss."""


class ExperimentError(MoweError):
    """An experiment cannot be run or reported: unknown, unfit for the data, or its files mixed."""
