"""The limit: fetching the pages and looking at nothing but where the next one is."""

import re

import requests

from benchmarks.loads.job import Job, run


def load(job: Job) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = job.ca_file
        session.headers["Authorization"] = f"Bearer {job.token}"
        answer = session.get(job.instance_url + job.path, params={"q": job.soql})
        while True:
            answer.raise_for_status()
            following = re.search(
                rb'"nextRecordsUrl"\s*:\s*"([^"]+)"', answer.content[:500] + answer.content[-500:]
            )
            if not following:
                return
            answer = session.get(job.instance_url + following[1].decode())


if __name__ == "__main__":
    run(load)
