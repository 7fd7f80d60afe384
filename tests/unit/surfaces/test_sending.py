"""What is sent is cut into pieces between lines, whatever comes and however it comes."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from extrovert.surfaces.sending import CHUNK, LONGEST, chunks


class Drops:
    """A pipe that gives what it has in small pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read1(self, size: int, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@given(st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"\x00", b"\n"))))
def test_the_pieces_are_whole_lines_in_order_with_their_numbers(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    lines = whole.split(b"\n")
    found: dict[int, bytes] = {}
    for first, text in chunks(Drops(pieces)):
        found.update(enumerate(text.split(b"\n"), start=first))
    kept = {number: line for number, line in enumerate(lines, start=1) if line or number < len(lines)}
    assert found == kept


def test_a_file_is_read_in_pieces_of_bounded_size() -> None:
    line = b"x" * 1000
    text = b"\n".join([line] * 2000)
    pieces = list(chunks(BytesIO(text)))
    assert len(pieces) > 1
    assert all(len(piece) <= CHUNK + len(line) for _, piece in pieces)
    assert b"\n".join(piece for _, piece in pieces) == text


def test_of_a_line_without_end_only_the_beginning_is_kept() -> None:
    ((first, text), (second, rest)) = chunks(BytesIO(b"x" * (LONGEST * 2) + b"\nlast"))
    assert (first, second, rest) == (1, 2, b"last")
    assert LONGEST <= len(text) <= LONGEST + 2 * CHUNK
