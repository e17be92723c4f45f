"""Numbers that may be a card's are starred in every text beside the columns; other ids stay as they are."""

import pytest

from data_platform.connectors.concealed import scrubbed


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("4111111111111111", "************1111"),
        ("card4111111111111111!", "card************1111!"),
        ("4111 1111 1111 1111", "***************1111"),
        ("ref-4111-1111-1111-1111, paid", "ref-***************1111, paid"),
        ("3782 822463 10005", "*************0005"),
    ],
)
def test_a_card_number_is_starred_however_it_is_written(text, kept):
    assert scrubbed(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "108d88d6-53e9-4465-9688-780113fc693c",
        "cc06c50f-e094-4770-9564-548934789bb9",
        "12345678-1234-4234-8234-123456789012",
        "2026-06-01T06:00:00.000Z",
    ],
)
def test_an_id_with_many_digits_is_no_card_number(text):
    assert scrubbed(text) == text
