"""`python spark_builds.py`: dbt on Spark, once for each line of its input, in one process, since to
start Spark takes longer than many a build.

A line is JSON: `arguments` of dbt, `environment` variables, and the new folder `kept`, to which the
tables are copied: the next build begins where this one ended. `error` is a part of what a run that
must fail says, else empty; one that is `killed` ends before it enters what became of its models.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from unittest import mock

from dbt.cli.main import dbtRunner, dbtRunnerResult


def messages(result: dbtRunnerResult) -> str:
    """Of what failed."""
    nodes = getattr(result.result, "results", [])
    return " ".join(str(said) for said in (result.exception, *(node.message for node in nodes)))


for line in sys.stdin:
    build = json.loads(line)
    os.environ.update(build["environment"])
    with contextlib.ExitStack() as stack:
        if build["killed"]:
            stack.enter_context(
                mock.patch("dbt.task.run.RunTask.after_run", side_effect=SystemExit)
            )
        result = dbtRunner().invoke(["--no-use-colors", *build["arguments"]])
    said, error = messages(result), build["error"]
    if not build["killed"] and (result.success == bool(error) or error not in said):
        sys.exit(f"{build['arguments']}: {said}")
    shutil.copytree(
        os.path.join(os.environ["RETAILSIM_SPARK_WAREHOUSE"], "retailsim.db"),
        os.path.join(build["kept"], "retailsim.db"),
    )
