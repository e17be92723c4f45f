"""A table says how far its inputs were read, and takes the columns that a declaration gained."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from data_platform.lake.append import Appender
from data_platform.lake.errors import LakeError, PositionMissing
from data_platform.lake.receipts import Receipt
from data_platform.lake.tables import Lake, Note
from data_platform.sources.salesforce import LEADS

SCHEMA = pa.schema([("Id", pa.string()), ("_batch", pa.int64())])


@pytest.fixture
def people(lake):
    return lake.at("bronze", "crm", "people").create(SCHEMA, ("Id", "_batch"), "Who we know.")


def land(table, *ids: str, reached: int) -> int:
    appender = Appender(table.fresh())
    appender.write(pa.RecordBatch.from_pydict({"Id": list(ids)}))
    return appender.commit(Note({"reached": reached}, Receipt(landed=len(ids)).as_dict()))


def without_notes(table) -> None:
    """The log as another tool would have written it."""
    for commit in Path(table.uri, "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        for action in actions:
            action.get("commitInfo", {}).pop("userMetadata", None)
        commit.write_text("".join(json.dumps(action) + "\n" for action in actions))


def test_tables_are_where_the_design_puts_them():
    lake = Lake("s3://bucket/prefix/")
    assert lake.bronze(LEADS).uri == "s3://bucket/prefix/bronze/salesforce/leads"
    assert lake.quarantine(LEADS).uri == "s3://bucket/prefix/quarantine/salesforce/leads"
    assert lake.silver("salesforce_leads").uri == "s3://bucket/prefix/silver/salesforce_leads"
    assert (
        lake.silver_quarantine("salesforce_leads").uri
        == "s3://bucket/prefix/quarantine/silver/salesforce_leads"
    )


def test_a_table_that_is_not_there_says_so(lake):
    nowhere = lake.at("bronze", "nowhere")
    assert (nowhere.exists, nowhere.batch, nowhere.rows, nowhere.position, nowhere.receipt) == (
        False,
        0,
        0,
        None,
        None,
    )
    for ask in (lambda: nowhere.query("select 1"), lambda: nowhere.set_position({})):
        with pytest.raises(PositionMissing, match="nowhere does not exist yet"):
            ask()


def test_a_new_table_is_empty_described_and_has_no_position(people):
    assert (people.exists, people.rows, people.batch, people.position) == (True, 0, 0, None)
    assert people.delta.metadata().description == "Who we know."


def test_a_position_is_set_by_hand_and_shown_again(people):
    land(people, "a", reached=1)
    people.fresh().set_position({"reached": 0})
    held = people.fresh()
    assert (dict(held.position), held.batch, held.rows) == ({"reached": 0}, 2, 1)
    assert land(people, "b", reached=5) == 3
    assert dict(people.fresh().position) == {"reached": 5}


def test_two_people_who_set_a_position_at_once_do_not_both_win(people):
    land(people, "a", reached=1)
    mine, yours = people.fresh(), people.fresh()
    assert (mine.batch, yours.batch) == (1, 1)
    mine.set_position({"reached": 2})
    with pytest.raises(LakeError, match="another run wrote to"):
        yours.set_position({"reached": 3})
    assert dict(people.fresh().position) == {"reached": 2}


def test_rows_without_a_position_are_an_error_that_says_what_to_do(people):
    land(people, "a", reached=1)
    without_notes(people)
    said = rf"{people.uri} has rows, and no commit .* `data-platform position set`, or move the table away"
    with pytest.raises(PositionMissing, match=said):
        _ = people.fresh().position
    with pytest.raises(PositionMissing):
        people.fresh().create(SCHEMA.append(pa.field("Email", pa.string())), ())
    people.fresh().set_position({"reached": 1})
    assert dict(people.fresh().position) == {"reached": 1}


def test_the_position_is_found_behind_many_commits_of_others(people):
    land(people, "a", reached=1)
    foreign = pa.table({"Id": ["x"], "_batch": pa.array([0], pa.int64())})
    for _ in range(60):
        write_deltalake(people.uri, foreign, mode="append")
    assert dict(people.fresh().position) == {"reached": 1}


@pytest.mark.parametrize("note", ["a person's remark", "7", '"text"', "{}", '{"other": 1}'])
def test_another_tools_remark_is_no_position(people, note):
    land(people, "a", reached=1)
    from deltalake import CommitProperties

    foreign = pa.table({"Id": ["x"], "_batch": pa.array([0], pa.int64())})
    write_deltalake(
        people.uri,
        foreign,
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
    )
    assert dict(people.fresh().position) == {"reached": 1}


def test_columns_that_a_declaration_gained_are_added_and_old_rows_are_null_in_them(people):
    land(people, "a", reached=1)
    gained = SCHEMA.append(pa.field("Score", pa.decimal128(9, 2))).append(
        pa.field("Tags", pa.list_(pa.struct([("name", pa.string())])))
    )
    widened = people.fresh().create(gained, ("Id", "_batch"))
    assert (dict(widened.position), widened.batch) == ({"reached": 1}, 1)
    appender = Appender(widened)
    tagged = {"Id": ["b"], "Tags": [[{"name": "new"}]]}
    appender.write(
        pa.RecordBatch.from_pydict(tagged, schema=pa.schema([gained.field("Id"), gained.field("Tags")]))
    )
    appender.commit(Note({"reached": 2}))
    assert people.fresh().query('select "Id", "Score", "Tags" from held order by "Id"').to_pylist() == [
        {"Id": "a", "Score": None, "Tags": None},
        {"Id": "b", "Score": None, "Tags": [{"name": "new"}]},
    ]


def test_creating_again_changes_nothing(people):
    land(people, "a", reached=1)
    gained = SCHEMA.append(
        pa.field("Tags", pa.list_(pa.struct([("name", pa.string()), ("on", pa.date32())])))
    )
    version = people.fresh().create(gained, ("Id", "_batch")).version
    assert people.fresh().create(gained, ("Id", "_batch")).version == version


def test_a_column_that_a_declaration_lost_stays_in_the_table(people):
    land(people, "a", reached=1)
    narrowed = people.fresh().create(SCHEMA.remove(0), ("_batch",))
    assert [field.name for field in narrowed.delta.schema().fields] == ["Id", "_batch"]


def test_a_type_that_a_declaration_changed_is_refused_with_what_to_do(people):
    land(people, "a", reached=1)
    changed = pa.schema([("Id", pa.int64()), ("_batch", pa.int64())])
    said = rf"{people.uri} holds Id as string, and it is declared int64 now; declare it as before, or move"
    with pytest.raises(LakeError, match=said):
        people.fresh().create(changed, ("Id",))
    assert people.fresh().rows == 1


def test_any_reader_of_delta_can_read_a_table(people):
    land(people, "a", reached=1)
    protocol = DeltaTable(people.uri).protocol()
    assert (protocol.min_reader_version, protocol.reader_features or []) == (1, [])


def test_a_receipt_adds_up_when_every_offered_row_is_accounted_for():
    assert Receipt(offered=10, landed=5, overlap=3, quarantined=1, moved=1).adds_up
    assert not Receipt(offered=10, landed=9).adds_up
    assert Receipt(offered=None, landed=9).adds_up


def test_a_receipt_says_what_became_of_the_rows():
    assert Receipt(offered=1200, landed=1198, overlap=1, quarantined=1).says == (
        "1,200 offered = 1,198 landed + 1 overlap + 1 quarantined"
    )
    assert (
        Receipt(offered=3, landed=1, moved=1).says
        == "3 offered ≠ 1 landed + 0 overlap + 0 quarantined + 1 moved"
    )
    assert Receipt(offered=None, landed=2).says == "uncounted offered = 2 landed + 0 overlap + 0 quarantined"


def test_a_receipt_comes_back_from_the_commit_that_carries_it(people):
    land(people, "a", "b", reached=1)
    assert people.fresh().receipt == Receipt(landed=2)
