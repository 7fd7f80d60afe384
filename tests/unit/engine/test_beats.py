"""Beats: what an engine that comes late to a moment can still find out."""

from __future__ import annotations

from extrovert.engine.beats import KEPT, Beats


def test_what_was_heard_before_a_moment_is_known_after_it() -> None:
    beats = Beats()
    assert (beats.latest_us, beats.before_us(5)) == (None, None)
    for moment in (10, 20, 30):
        beats.add(moment)
    assert [beats.before_us(at_us) for at_us in (9, 10, 29, 30, 99)] == [None, 10, 20, 30, 30]
    assert beats.latest_us == 30


def test_the_latest_moments_are_kept() -> None:
    beats = Beats()
    for moment in range(3 * KEPT):
        beats.add(moment)
    assert beats.before_us(2 * KEPT) == 2 * KEPT
    assert beats.before_us(2 * KEPT - 1) is None
