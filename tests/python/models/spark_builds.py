"""`python spark_builds.py`: dbt on Spark, once for each line of its input, in one process, since to
start Spark takes longer than many a build.

A line is JSON: `arguments` of dbt, `environment` variables, and the new folder `kept`, to which the
tables are copied: the next build begins where this one ended.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

from dbt.cli.main import dbtRunner

for line in sys.stdin:
    build = json.loads(line)
    os.environ.update(build["environment"])
    if not dbtRunner().invoke(build["arguments"]).success:
        sys.exit(1)
    shutil.copytree(
        os.path.join(os.environ["RETAILSIM_SPARK_WAREHOUSE"], "retailsim.db"),
        os.path.join(build["kept"], "retailsim.db"),
    )
