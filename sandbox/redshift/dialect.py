"""What Redshift's SQL says that PostgreSQL's doesn't, and what PostgreSQL's says that Redshift refuses.

Layout (distribution, sort keys, encodings) is dropped, and COPY from S3 becomes a COPY that the proxy feeds.
"""

import re
from dataclasses import dataclass

# dbt says of each statement where it comes from.
_REMARKS = r"\s*(?:/\*.*?\*/\s*)*"
_COLUMNS = r"\(\s*\"?\w+\"?(?:\s*,\s*\"?\w+\"?)*\s*\)"
_LAYOUT = re.compile(
    rf"\bdiststyle\s+(?:all|even|key|auto)\b|\bdistkey\b(?:\s*{_COLUMNS})?"
    rf"|\b(?:compound\s+|interleaved\s+)?sortkey\b(?:\s*{_COLUMNS}|\s+auto\b)?"
    r"|\bencode\s+\w+\b|\bbackup\s+(?:yes|no)\b",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"\s*copy\s+(?P<table>[\w\".]+)\s*(?P<columns>\([^)]*\))?\s*from\s+'(?P<uri>s3://[^']+)'\s*(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORITY = re.compile(r"\biam_role\s+(?:default\b|'arn:[^']+')", re.IGNORECASE)
_PARQUET = re.compile(r"\bformat\s+(?:as\s+)?parquet\b", re.IGNORECASE)
# A few that a load may be tempted by; the list is not whole.
_REFUSED = re.compile(
    r"\bon\s+conflict\b|\bon\s+commit\s+drop\b|\bis\s+(?:not\s+)?distinct\s+from\b|\bto_regclass\b|\bbytea\b"
    r"|\bin\s+share\s+row\s+exclusive\s+mode\b|\bcopy\b.*\bfrom\s+stdin\b",
    re.IGNORECASE | re.DOTALL,
)


# Its own functions that take a word for a part of a date, which PostgreSQL would take for a column.
_PART_OF_DATE = re.compile(r"\bdate(add|diff)\s*\(\s*'?(\w+)'?\s*,", re.IGNORECASE)
_UNBOUND_VIEW = re.compile(r"\bwith\s+no\s+schema\s+binding\b", re.IGNORECASE)


class Refused(Exception):
    """Redshift does not take this statement."""


@dataclass(frozen=True)
class Statement:
    """A statement as PostgreSQL is given it; where it copies, from where in S3."""

    text: str
    copies: str | None = None


def translated(text: str) -> Statement:
    if found := _COPY.match(text):
        return _copy(found)
    if refused := _REFUSED.search(text):
        raise Refused(f'syntax error at or near "{refused[0].split()[0]}"')
    text = _PART_OF_DATE.sub(r"rs_date\1('\2',", text)
    if re.match(rf"{_REMARKS}(?:create|alter)\s", text, re.IGNORECASE | re.DOTALL):
        return Statement(_UNBOUND_VIEW.sub("", _LAYOUT.sub("", text)))
    return Statement(text)


def _copy(found: re.Match[str]) -> Statement:
    if not _AUTHORITY.search(found["options"]):
        raise Refused("COPY from S3 needs IAM_ROLE: default, or the ARN of a role")
    if not _PARQUET.search(found["options"]):
        raise Refused("this stand-in copies Parquet alone")
    # All that has a value is in quotes, so that an empty text is told from null.
    return Statement(f"copy {found['table']} {found['columns'] or ''} from stdin (format csv)", found["uri"])
