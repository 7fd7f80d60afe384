"""The log's entry about sources that were heard, and had nothing new."""

from __future__ import annotations

from extrovert.core.record import Record

__all__ = ["Heard"]


class Heard(Record, omit_defaults=True, tag="heard", tag_field="kind"):
    """Sources were heard that had nothing new: by stream, the latest engine time up to which that is known.

    It is logged where somebody depends on how fresh what came of them is, and no more often than that takes.
    """

    heard: dict[str, int]
