"""Several processes that work on one search; what they train is a formula.

    python -m tests.search.workers STORAGE TRIALS WORKERS [FLAG]

With a file FLAG, the first process never ends its second trial; it writes the file to say so.
"""

import os
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import medzoo
from medzoo.search.storage import opening
from medzoo.search.trial import objective
from tests.search.formula import train
from tests.search.test_search import RATES


def work(url, trials, flag):
    calls = []

    def slow(*arguments, **options):
        calls.append(1)
        time.sleep(0.1)
        if flag and len(calls) == 2:
            flag.write_text(str(os.getpid()))
            time.sleep(3600)
        return train(*arguments, **options)

    objective.train, opening.INTERVAL, opening.GRACE = slow, 1, 4
    data = medzoo.synthetic(
        task="binary-class", num_classes=2, channels=1, n_train=24, n_val=12, n_test=6
    )
    medzoo.search(data, "simple_cnn", RATES, trials=trials, storage=url, progress=False)


def main(url, trials, workers, flag=""):
    import_module("medzoo.search.study")  # once for all processes
    children = []
    for number in range(int(workers)):
        if not (child := os.fork()):
            status = 1
            try:
                work(url, int(trials), Path(flag) if flag and number == 0 else None)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(codes)


if __name__ == "__main__":
    main(*sys.argv[1:])
