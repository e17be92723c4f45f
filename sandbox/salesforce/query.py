"""A parsed query put to the company's records: checked against the object's fields, answered with rows."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.salesforce.errors import ApiError, pointed_at, unknown_field, unknown_object
from sandbox.salesforce.fields import TEXTS, Field, SObject
from sandbox.salesforce.soql import Comparison, Condition, Junction, Membership, Name, Order, Query, Value
from sandbox.world.ids import id_with_checksum
from sandbox.world.records import Records, Rows

Truths = npt.NDArray[np.bool_]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True)
class Plan:
    """A query whose object and fields are known to be there."""

    query: Query
    sobject: SObject
    fields: tuple[Field, ...]


def planned(query: Query, objects: dict[str, SObject]) -> Plan:
    sobject = objects.get(query.sobject.text.lower())
    if sobject is None:
        raise unknown_object(query.text, query.sobject.place, query.sobject.text)
    fields = tuple(known(query, sobject, name) for name in query.fields)
    twice = next((each for number, each in enumerate(fields) if each in fields[:number]), None)
    if twice is not None:
        raise ApiError("INVALID_FIELD", f"duplicate field selected: {twice.name}")
    return Plan(query, sobject, fields)


def known(query: Query, sobject: SObject, name: Name) -> Field:
    found = sobject.field(name.text)
    if found is None:
        raise unknown_field(query.text, name.place, name.text, sobject.name)
    return found


class Search:
    """One query on one table, as its rows are now."""

    def __init__(self, plan: Plan, records: Records) -> None:
        self.plan = plan
        self.records = records

    def rows(self, seen: Rows) -> Rows:
        """Which of the rows seen are the answer, in its order."""
        query = self.plan.query
        if query.where is not None:
            seen = seen[self.holds(query.where, seen)]
        for order in reversed(query.order):
            seen = self.ordered(order, seen)
        return seen if query.limit is None else seen[: query.limit]

    def holds(self, condition: Condition, rows: Rows) -> Truths:
        if isinstance(condition, Junction):
            return self.joined(condition, rows)
        if isinstance(condition, Comparison):
            return self.compared(condition, rows)
        if isinstance(condition, Membership):
            return self.among(condition, rows)
        return ~self.holds(condition.part, rows)

    def joined(self, junction: Junction, rows: Rows) -> Truths:
        """Each part looks only at the rows that the parts before it left open."""
        decisive = junction.operator == "OR"
        truths = np.full(len(rows), not decisive)
        undecided = np.arange(len(rows))
        for part in junction.parts:
            held = self.holds(part, rows[undecided])
            truths[undecided[held == decisive]] = decisive
            undecided = undecided[held != decisive]
        return truths

    def compared(self, comparison: Comparison, rows: Rows) -> Truths:
        field = self.filterable(comparison.field)
        if comparison.operator == "LIKE":
            return self.like(field, comparison, rows)
        wanted = self.literal(field, comparison.value)
        if field.type == "id" and wanted is not None:
            return self.beside(str(wanted), comparison.operator, rows)
        compare = OPERATORS[comparison.operator]
        if wanted is not None and field.type in ("datetime", "boolean"):
            truths: Truths = compare(self.records.vector(field.name)[rows], wanted)
            return truths
        if wanted is None:
            return self.each(
                field, rows, lambda held: bool(compare(held, None)) if compare in (eq, ne) else False
            )
        # Null differs from every value, and is neither above nor below any.
        return self.each(
            field, rows, lambda held: compare is ne if held is None else bool(compare(held, wanted))
        )

    def beside(self, record_id: str, operator: str, rows: Rows) -> Truths:
        """Rows are in the order of their Ids, so an Id is a place among them."""
        if len(record_id) == 15:
            record_id = id_with_checksum(record_id)
        first, behind = bisect_left(self.records.ids, record_id), bisect_right(self.records.ids, record_id)
        is_it = (rows >= first) & (rows < behind)
        sides: dict[str, Truths] = {
            "=": is_it,
            "!=": ~is_it,
            "<": rows < first,
            "<=": rows < behind,
            ">": rows >= behind,
            ">=": rows >= first,
        }
        return sides[operator]

    def like(self, field: Field, comparison: Comparison, rows: Rows) -> Truths:
        wanted = self.literal(field, comparison.value)
        if field.type not in TEXTS or wanted is None:
            raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field: LIKE")
        parts = re.split(r"(\\[%_]|%|_)", str(wanted))
        wildcards = {"%": ".*", "_": "."}
        shape = "".join(wildcards.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
        matches = re.compile(shape, re.IGNORECASE | re.DOTALL).fullmatch
        return self.each(field, rows, lambda held: held is not None and matches(held) is not None)

    def among(self, membership: Membership, rows: Rows) -> Truths:
        field = self.filterable(membership.field)
        wanted = {self.literal(field, value) for value in membership.values}
        return self.each(field, rows, lambda held: (held in wanted) is membership.is_in)

    def each(self, field: Field, rows: Rows, holds: Callable[[Any], bool]) -> Truths:
        """The condition on every row's value; text without regard to case."""
        values = self.records.columns[field.name]
        if field.type in TEXTS and field.type not in ("id", "reference"):
            folded = (None if values[row] is None else str(values[row]).casefold() for row in rows.tolist())
            return np.fromiter(map(holds, folded), bool, len(rows))
        return np.fromiter((holds(values[row]) for row in rows.tolist()), bool, len(rows))

    def filterable(self, name: Name) -> Field:
        query = self.plan.query
        field = known(query, self.plan.sobject, name)
        if field.is_long:
            message = f"field '{field.name}' can not be filtered in a query call"
            raise ApiError("INVALID_FIELD", pointed_at(query.text, name.place, message))
        return field

    def literal(self, field: Field, value: Value) -> Any:
        """The literal in the form that the column holds; one of another type is refused."""
        if value is None:
            return None
        match field.type:
            case "datetime" if isinstance(value, datetime):
                return value.timestamp()
            case "date" if isinstance(value, date) and not isinstance(value, datetime):
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case "int" | "double" | "currency" | "percent" if isinstance(value, Decimal):
                return value
            case "id" | "reference" if isinstance(value, str):
                return value
            case kind if kind in TEXTS and isinstance(value, str):
                return value.casefold()
        quoted = "be enclosed" if field.type in TEXTS else "not be enclosed"
        kind = {"datetime": "dateTime"}.get(field.type, "string" if field.type in TEXTS else field.type)
        subject = f"value of filter criterion for field '{field.name}'"
        raise ApiError("INVALID_FIELD", f"{subject} must be of type {kind} and should {quoted} in quotes")

    def ordered(self, order: Order, rows: Rows) -> Rows:
        """A stable sort, so that the keys before it decide first."""
        field = known(self.plan.query, self.plan.sobject, order.field)
        if field.is_long:
            message = f"field '{field.name}' can not be sorted in a query call"
            raise ApiError("MALFORMED_QUERY", pointed_at(self.plan.query.text, order.field.place, message))
        if field.type == "id":
            return rows[np.argsort(-rows if order.descending else rows, kind="stable")]
        if field.type in ("datetime", "boolean"):
            values = self.records.vector(field.name)[rows].astype(np.int64)
            return rows[np.argsort(-values if order.descending else values, kind="stable")]
        return self.ordered_by_value(field, order, rows)

    def ordered_by_value(self, field: Field, order: Order, rows: Rows) -> Rows:
        column = self.records.columns[field.name]
        places = rows.tolist()
        nulls = [place for place in places if column[place] is None]
        there = [place for place in places if column[place] is not None]
        there.sort(key=lambda place: _sort_key(column[place]), reverse=order.descending)
        return np.array(there + nulls if order.nulls_last else nulls + there, dtype=np.intp)


def _sort_key(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
