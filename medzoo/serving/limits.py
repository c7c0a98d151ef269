"""What one request may cost, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, fields

_NUMBER = (int, float)


@dataclass(frozen=True)
class Limits:
    """What requests may cost.

    Attributes:
        max_batch: Images that run through a model at once.
        max_wait_ms: Milliseconds for which an image waits for others that are being decoded. It
            does not wait if there are none.
        queue_size: Images that are received, decoded or waiting at the same time. Further ones
            are refused with the status 503.
        max_body: Bytes of one request.
        max_images: Images of one request.
        max_memory: Bytes that all requests together may hold beyond their first 64 KB.
        read_timeout: Seconds in which a request has to arrive completely.
        answer_timeout: Seconds in which a request is answered; after that it is given up.

    Raises:
        TypeError: If one of them is not a number.
        ValueError: If one of them is not positive, or one request could never be accepted.
    """

    max_batch: int = 64
    max_wait_ms: float = 5.0
    queue_size: int = 256
    max_body: int = 32 << 20
    max_images: int = 64
    max_memory: int = 256 << 20
    read_timeout: float = 30.0
    answer_timeout: float = 60.0

    def __post_init__(self) -> None:
        for item in fields(self):
            name, value = item.name, getattr(self, item.name)
            kinds, kind = ((int,), "whole number") if item.type == "int" else (_NUMBER, "number")
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise TypeError(f"{name}={value!r:.80} must be a {kind}")
            if not (value > 0 or (value == 0 and name == "max_wait_ms")):
                raise ValueError(f"{name}={value!r} must be above 0")
        for small, large in (("max_images", "queue_size"), ("max_body", "max_memory")):
            if getattr(self, small) > getattr(self, large):
                raise ValueError(
                    f"{small}={getattr(self, small)} exceeds {large}={getattr(self, large)}, so "
                    f"that such a request would never be accepted; raise {large}"
                )
