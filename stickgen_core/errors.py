"""Errors that a person reads: one line that names what failed, what was expected, what was found and what to do."""


class StickgenError(Exception):
    """A failure whose message is meant for the user; the command line prints it without a traceback."""


class ConfigError(StickgenError):
    """A configuration that cannot be used: unknown key, wrong type, impossible value."""


class MissingInput(StickgenError):
    """Something that must exist does not; the message says how to make or get it."""


class Corrupt(StickgenError):
    """Stored bytes do not match the digest that names them."""


class BadRecording(StickgenError):
    """One raw file cannot be read; the reader quarantines it with this reason and goes on.

    reason   a short stable code for the ledger, such as "wrong_shape"
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
