"""What a listener is sent in the end is what was committed, and what was not is taken back."""

from __future__ import annotations

from collections.abc import Iterable

from extrovert.engine.transcript import Corrected, Heard, Transcript, Words


def sent(heard: Iterable[Heard]) -> list[object]:
    return [one.text if isinstance(one, Words) else one for one in heard]


def test_words_are_sent_as_they_come_and_only_the_rest_at_the_end() -> None:
    transcript = Transcript()
    assert [
        *sent(transcript.words("It is ")),
        *sent(transcript.words("on ")),
        *sent(transcript.ends("It is on time.")),
    ] == [
        "It is ",
        "on ",
        "time.",
    ]


def test_an_answer_of_which_no_word_was_sent_comes_as_a_whole() -> None:
    assert sent(Transcript().ends("Yes.")) == ["Yes."]


def test_words_that_do_not_hold_are_taken_back_at_once() -> None:
    transcript = Transcript()
    list(transcript.words("It is on"))
    assert sent(transcript.cut(["trips/ann"])) == [Corrected(["trips/ann"])]
    assert [*sent(transcript.words("It is late.")), *sent(transcript.ends("It is late."))] == ["It is late."]


def test_what_was_not_begun_is_not_taken_back() -> None:
    assert sent(Transcript().cut(["trips/ann"])) == []


def test_a_decision_that_says_otherwise_is_a_correction() -> None:
    transcript = Transcript()
    list(transcript.words("It is on time."))
    assert sent(transcript.ends("It is late.")) == [Corrected(), "It is late."]


def test_the_space_around_an_answer_is_no_correction() -> None:
    transcript = Transcript()
    list(transcript.words(" Yes.\n"))
    assert sent(transcript.ends("Yes.")) == []


def test_what_a_model_says_before_it_calls_a_tool_stands_apart() -> None:
    transcript = Transcript()
    list(transcript.words("Let me look."))
    transcript.begins()
    assert [*sent(transcript.words("It is late.")), *sent(transcript.ends("It is late."))] == ["\n\n", "It is late."]


def test_each_answer_begins_anew() -> None:
    transcript = Transcript(unasked=True)
    list(transcript.ends("One."))
    assert [*transcript.ends("Two.")] == [Words("Two.", unasked=True)]
