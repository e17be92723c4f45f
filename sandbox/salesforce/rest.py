"""The REST API: limits, objects, queries, and which records were deleted or changed."""

import json
import re
from datetime import UTC, datetime, timedelta

from sandbox.salesforce import describe, errors
from sandbox.salesforce.encode import moment_text
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.exchange import Answer, Request, answer_json
from sandbox.salesforce.org import Call, Cursor, Org, Route
from sandbox.world.company import RECYCLE_BIN

SMALLEST_PAGE = 200
# getDeleted and getUpdated look no further back.
REPLICATION = timedelta(days=30)


def versions() -> Answer:
    return answer_json([{"label": "Summer '23", "url": "/services/data/v58.0", "version": "58.0"}])


def resources(call: Call) -> Answer:
    names = ("limits", "query", "queryAll", "sobjects", "jobs")
    return answer_json({name: f"/services/data/{call.version}/{name}" for name in names})


def limits(call: Call) -> Answer:
    daily = {"Max": call.org.daily_limit, "Remaining": max(0, call.org.daily_limit - call.org.used)}
    return answer_json(
        {
            "DailyApiRequests": daily,
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
            "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        }
    )


def all_objects(call: Call) -> Answer:
    listed = [describe.summary(each, call.version) for each in call.org.objects.values()]
    return answer_json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


def one_object(call: Call) -> Answer:
    return answer_json(describe.whole(call.org.sobject(call.path["name"]), call.version))


def query(call: Call) -> Answer:
    """`query`, and `queryAll`, which sees the recycle bin too."""
    if "q" not in call.request.parameters:
        raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
    plan = call.org.plan(call.request.parameters["q"])
    rows = call.org.search(plan, with_deleted=call.path["all"] is not None)
    if not plan.fields:
        return answer_json({"totalSize": len(rows), "done": True, "records": []})
    cursor = call.org.open_cursor(plan, rows, page_size(call.org, call.request))
    return page(call.org, cursor, 0, call.version)


def query_more(call: Call) -> Answer:
    cursor = call.org.cursor(call.path["cursor"])
    offset = int(call.path["offset"])
    if not 0 < offset < len(cursor.rows):
        raise errors.invalid_locator()
    return page(call.org, cursor, offset, call.version)


def page_size(org: Org, request: Request) -> int:
    """What the client asks for, within what the vendor gives."""
    asked = re.search(r"batchSize\s*=\s*(\d+)", request.headers.get("Sforce-Query-Options", ""))
    wanted = max(SMALLEST_PAGE, int(asked[1])) if asked else org.largest_page
    return min(wanted, org.largest_page)


def page(org: Org, cursor: Cursor, offset: int, version: str) -> Answer:
    end = offset + cursor.page_size
    done = end >= len(cursor.rows)
    head = f'{{"totalSize":{len(cursor.rows)},"done":{json.dumps(done)},'
    if not done:
        head += f'"nextRecordsUrl":"/services/data/{version}/query/{cursor.name}-{end}",'
    records = org.page(cursor, cursor.rows[offset:end].tolist(), version)
    org.page_read()
    return Answer(b"".join((head.encode(), b'"records":[', records, b"]}")))


def deleted(call: Call) -> Answer:
    """Emptying the recycle bin takes nothing away here; time does."""
    sobject = call.org.sobject(call.path["name"])
    start, end = replication_window(call.org, call.request)
    with call.org.world.lock:
        records = call.org.world.records(sobject.table)
        earliest = call.org.world.clock - int(RECYCLE_BIN.total_seconds())
        gone = sorted(
            (at, place) for place, at in records.deleted_at.items() if max(start, earliest) <= at < end
        )
        return answer_json(
            {
                "deletedRecords": [{"id": records.ids[p], "deletedDate": moment_text(at)} for at, p in gone],
                "earliestDateAvailable": moment_text(earliest // 60 * 60),
                "latestDateCovered": moment_text(min(end, call.org.world.clock // 60 * 60)),
            }
        )


def updated(call: Call) -> Answer:
    sobject = call.org.sobject(call.path["name"])
    start, end = replication_window(call.org, call.request)
    with call.org.world.lock:
        records = call.org.world.records(sobject.table)
        seen = call.org.world.seen(sobject.table, with_deleted=False)
        stamps = records.vector("SystemModstamp")[seen]
        ids = [records.ids[place] for place in seen[(stamps >= start) & (stamps < end)].tolist()]
        return answer_json(
            {"ids": ids, "latestDateCovered": moment_text(min(end, call.org.world.clock // 60 * 60))}
        )


def replication_window(org: Org, request: Request) -> tuple[int, int]:
    """Start and end in whole minutes, as the vendor counts them."""
    start, end = (_minute(request, name) for name in ("start", "end"))
    if end - start < 60:
        message = "endDate must be at least one minute greater than startDate"
        raise ApiError("INVALID_REPLICATION_DATE", message)
    if start < org.world.clock - REPLICATION.total_seconds():
        raise ApiError("INVALID_REPLICATION_DATE", "startDate cannot be more than 30 days ago")
    return start, end


def _minute(request: Request, name: str) -> int:
    text = request.parameters.get(name, "")
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(
            "INVALID_REPLICATION_DATE", f"{name} parameter is missing or no date: {text!r}"
        ) from None
    if read.tzinfo is None:
        read = read.replace(tzinfo=UTC)
    return int(read.timestamp()) // 60 * 60


VERSION = r"/services/data/(?P<version>v\d+\.\d)"
ROUTES: tuple[Route, ...] = (
    ("GET", rf"{VERSION}", resources),
    ("GET", rf"{VERSION}/limits", limits),
    ("GET", rf"{VERSION}/sobjects", all_objects),
    ("GET", rf"{VERSION}/sobjects/(?P<name>\w+)/describe", one_object),
    ("GET", rf"{VERSION}/sobjects/(?P<name>\w+)/deleted", deleted),
    ("GET", rf"{VERSION}/sobjects/(?P<name>\w+)/updated", updated),
    ("GET", rf"{VERSION}/query(?P<all>All)?", query),
    ("GET", rf"{VERSION}/query(?:All)?/(?P<cursor>01g\w+)-(?P<offset>\d+)", query_more),
)
