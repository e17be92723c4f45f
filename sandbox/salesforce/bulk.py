"""The Bulk API 2.0 for queries: jobs made, watched, read in parts and deleted."""

import base64
import binascii
from threading import Thread

from sandbox.salesforce.errors import ApiError, no_such_resource
from sandbox.salesforce.exchange import Answer, answer_json
from sandbox.salesforce.jobs import ENDED, Job
from sandbox.salesforce.org import Call, Org, Route
from sandbox.salesforce.rest import VERSION

# How many records a part of the answer has where the client does not say.
USUAL_PART = 50_000


def create(call: Call) -> Answer:
    asked = call.request.json()
    operation = asked.get("operation")
    if operation not in ("query", "queryAll"):
        raise ApiError("INVALIDJOB", f"InvalidJob : Unsupported operation: {operation}")
    if asked.get("columnDelimiter", "COMMA") != "COMMA" or asked.get("lineEnding", "LF") != "LF":
        raise ApiError("INVALIDJOB", "InvalidJob : this stand-in writes COMMA and LF only")
    plan = call.org.plan(asked.get("query", ""))
    if not plan.fields:
        raise ApiError("API_ERROR", "Aggregate Relationships not supported in Bulk Query")
    if any(each.type == "address" for each in plan.fields):
        raise ApiError("API_ERROR", "Selecting compound data not supported in Bulk Query")
    job = Job(plan, operation, "LF", "COMMA", call.org.world.clock, call.version)
    with call.org.lock:
        call.org.jobs[job.name] = job
    told = answer_json(job.told(is_new=True))
    Thread(target=process, args=(call.org, job), daemon=True).start()
    return told


def process(org: Org, job: Job) -> None:
    """What the vendor does behind the scenes."""
    job.state = "InProgress"
    with org.lock:
        failure, org.next_job_fails = org.next_job_fails, None
    if failure is not None:
        job.end("Failed", failure)
        return
    with org.world.lock:
        rows = org.search(job.plan, with_deleted=job.operation == "queryAll")
        lines = org.writer(job.plan).csv(rows.tolist())
    if job.state != "Aborted":
        job.lines = lines
        job.end("JobComplete")


def found(call: Call) -> Job:
    with call.org.lock:
        job = call.org.jobs.get(call.path["job"])
    if job is None:
        raise no_such_resource()
    return job


def listed(call: Call) -> Answer:
    with call.org.lock:
        jobs = list(call.org.jobs.values())
    return answer_json({"done": True, "records": [job.told() for job in jobs], "nextRecordsUrl": None})


def told(call: Call) -> Answer:
    return answer_json(found(call).told())


def abort(call: Call) -> Answer:
    job = found(call)
    if call.request.json().get("state") != "Aborted":
        raise ApiError("INVALIDJOBSTATE", "A query job can only be set to Aborted")
    if job.state not in ENDED:
        job.end("Aborted")
    return answer_json(job.told())


def delete(call: Call) -> Answer:
    job = found(call)
    if job.state not in ENDED:
        raise ApiError("INVALIDJOBSTATE", f"A job in the state {job.state} can not be deleted")
    with call.org.lock:
        del call.org.jobs[job.name]
    return Answer(status=204)


def results(call: Call) -> Answer:
    """A part of the answer. There is none, and no error either, before the job is complete."""
    job = found(call)
    if job.state != "JobComplete":
        return Answer(status=204)
    start = _offset(call.request.parameters.get("locator"))
    if start >= max(1, len(job.lines)):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    part = job.lines[start : start + int(call.request.parameters.get("maxRecords") or USUAL_PART)]
    end = start + len(part)
    header = '"' + '","'.join(each.name for each in job.plan.fields) + '"\n'
    return Answer(
        header.encode() + b"".join(part),
        content_type="text/csv; charset=UTF-8",
        headers={
            "Sforce-NumberOfRecords": str(len(part)),
            "Sforce-Locator": _locator(end) if end < len(job.lines) else "null",
        },
    )


def _locator(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode().rstrip("=")


def _offset(locator: str | None) -> int:
    if not locator:
        return 0
    try:
        return int(base64.b64decode(locator + "=" * (-len(locator) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator") from None


JOB = rf"{VERSION}/jobs/query/(?P<job>\w+)"
ROUTES: tuple[Route, ...] = (
    ("POST", rf"{VERSION}/jobs/query", create),
    ("GET", rf"{VERSION}/jobs/query", listed),
    ("GET", JOB, told),
    ("PATCH", JOB, abort),
    ("DELETE", JOB, delete),
    ("GET", rf"{JOB}/results", results),
)
