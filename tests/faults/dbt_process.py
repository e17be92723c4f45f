"""dbt's own process (data_platform/gold/builder_process.py) with a fault planted before it begins."""

import pickle
import sys
from multiprocessing.connection import Connection

from data_platform.gold.builder_process import serve

if __name__ == "__main__":
    pickle.loads(bytes.fromhex(sys.argv[1])).plant()  # noqa: S301 - of the run that began it
    serve(Connection(int(sys.argv[2])))
