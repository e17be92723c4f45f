"""What the Redshift stand-in makes of a statement on its way to PostgreSQL."""

import pytest

from sandbox.redshift.dialect import Refused, translated

FROM_S3 = "copy staged from 's3://bucket/prefix/' iam_role default format as parquet"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('create table t ("a" int) distkey ("a") compound sortkey ("a", "b")', 'create table t ("a" int)'),
        ("create table t (a int encode az64) diststyle all sortkey auto", "create table t (a int )"),
        ("CREATE TABLE t (a int distkey, b int sortkey)", "CREATE TABLE t (a int , b int )"),
        ("select 'create table distkey'", "select 'create table distkey'"),
        ("update t set distkey = 1", "update t set distkey = 1"),
    ],
)
def test_layout_is_dropped_where_a_table_is_made_and_nowhere_else(given, sent):
    assert translated(given).text.split() == sent.split()


def test_copy_becomes_rows_that_the_proxy_feeds():
    statement = translated(FROM_S3)

    assert statement.copies == "s3://bucket/prefix/"
    assert statement.text.split() == ["copy", "staged", "from", "stdin", "(format", "csv)"]


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (FROM_S3.replace("iam_role default", ""), "IAM_ROLE"),
        (FROM_S3.replace("as parquet", "as csv"), "Parquet"),
        ("insert into t values (1) on conflict (a) do nothing", 'near "on"'),
        ("create temp table t (a int) on commit drop", 'near "on"'),
        ("create table t (a bytea)", 'near "bytea"'),
        ("copy t from stdin", 'near "copy"'),
    ],
)
def test_what_redshift_refuses_is_refused(refused, says):
    with pytest.raises(Refused, match=says):
        translated(refused)
