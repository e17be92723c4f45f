"""The questions of docs/questions.md, asked."""

import re

import pytest

from data_platform.settings import CHECKOUT

PAGE = (CHECKOUT / "docs" / "questions.md").read_text()
QUESTIONS = re.findall(r"^## (\d+)\. (.*?)$(.*?)```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)


def test_there_are_twenty():
    assert [int(number) for number, *_ in QUESTIONS] == list(range(1, 21))


@pytest.mark.parametrize(
    ("number", "sql"), [(each[0], each[3]) for each in QUESTIONS], ids=lambda value: value[:2]
)
def test_a_question_has_an_answer(gold, number, sql):
    assert gold.query(sql), f"question {number} is answered by no row"
