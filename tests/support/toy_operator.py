"""`python -m support.toy_operator`: the operator's process, with toys for kinds."""

from sluice_operator.process import run_process
from support.toys import ToyKind

if __name__ == "__main__":
    run_process(lambda dependencies: [ToyKind()])
