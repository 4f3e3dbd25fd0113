"""What a client is told when it does not get what it asked for: a status, a stable code, one line, and nothing of the inside."""

from typing import Any

# Refused before the body was read to its end: what is left of it must not be taken for the next request.
UNREAD = (401, 408, 413, 415, 421)


class Refusal(Exception):
    """status    of HTTP
    code         stable, for programs
    message      one line for people
    """

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None):
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s

    def headers(self) -> dict[str, str]:
        found = {}
        if self.retry_after_s is not None:
            found["retry-after"] = str(self.retry_after_s)
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        if self.status in UNREAD:
            found["connection"] = "close"
        return found

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "request_id": request_id}}


def internal() -> Refusal:
    return Refusal(500, "internal", "internal error; the service's log has it under this request's id")


def timed_out() -> Refusal:
    return Refusal(504, "timed_out", "the request took too long and was given up; ask for less, or try again when it is quieter")
