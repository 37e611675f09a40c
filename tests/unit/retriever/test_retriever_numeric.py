"""NumPy's threads."""

import subprocess
import sys


def test_products_stay_on_one_thread():
    code = """
import numpy
from threadpoolctl import threadpool_info
from sluice_retriever.numeric import stay_on_one_thread
stay_on_one_thread()
print({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{1}\n"
