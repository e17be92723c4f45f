"""What goes wrong at every source but Salesforce, around the first load and a later one: what bronze holds then."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.database_faults import OF_MYSQL, OF_POSTGRES, OF_SNOWFLAKE
from tests.faults.database_sources import Databases
from tests.faults.disturbed import meet
from tests.faults.file_faults import OF_FLOWS, one_bad_row
from tests.faults.file_sources import Files
from tests.faults.result import Result
from tests.faults.two_loads import OFFER, at_once, of_all
from tests.faults.vendor_faults import OF_CLEVERTAP, OF_FACEBOOK, OF_GOOGLE
from tests.faults.vendor_sources import Vendors


def run() -> list[Result]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="faults-")))
        databases = stack.enter_context(Databases())
        vendors = stack.enter_context(Vendors())
        files = stack.enter_context(Files(folder))
        by_moment = (databases.mysql, databases.snowflake)
        return [
            *meet(databases.postgres, OF_POSTGRES, folder),
            *meet(databases.mysql, OF_MYSQL, folder),
            *meet(databases.snowflake, OF_SNOWFLAKE, folder),
            *meet(vendors.facebook, OF_FACEBOOK, folder),
            *meet(vendors.google, OF_GOOGLE, folder),
            *meet(vendors.clevertap, OF_CLEVERTAP, folder),
            one_bad_row(folder),
            *meet(files.accounts, OF_FLOWS, folder),
            *at_once(databases.postgres, folder, OFFER),
            *of_all(by_moment, folder),
            *of_all((vendors.facebook, vendors.google, vendors.clevertap, vendors.people), folder),
            *of_all((files.rates, files.accounts), folder),
        ]
