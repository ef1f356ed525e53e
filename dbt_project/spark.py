"""Starts Apache Spark for dbt's target `spark`, with the functions of Python that SQL may call.

A plugin of dbt-core, which finds it by the name of this package; for other targets it does
nothing. Without it dbt would start Spark by itself, but with a stack trace where Java is missing,
and without the functions.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbt.adapters.factory import get_adapter_by_type
from dbt.config.runtime import load_profile
from dbt.flags import get_flags
from dbt.plugins.manager import dbt_hook, dbtPlugin
from dbt.plugins.manifest import PluginNodes
from dbt_common.exceptions import DbtRuntimeError

from .functions import FUNCTIONS, order_line_functions
from .substitution_clusters import substitution_clusters
from .warehouse import SPARK_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = SPARK_SCHEMA.removesuffix(".db")
JAVA = 17
"""The oldest version that Spark 4 runs on."""
_MEMORY = re.compile(r"[1-9]\d*[mgt]", re.IGNORECASE)


class Plugin(dbtPlugin):
    """What dbt makes before it reads a project."""

    _on_spark = False
    """Whether Spark was started."""

    def initialize(self) -> None:
        """Raises DbtRuntimeError, whose message dbt prints without a stack trace."""
        if self.project_name != "retailsim":
            return
        flags = get_flags()
        profile = load_profile(flags.PROJECT_DIR, flags.VARS, flags.PROFILE, flags.TARGET)
        credentials = profile.credentials
        if credentials.type == "spark" and credentials.method == "session":
            start(credentials.server_side_parameters)
            self._on_spark = True

    @dbt_hook
    def get_nodes(self) -> PluginNodes:
        """None. Called when dbt-spark has switched ANSI mode off: this switches it on, so that a
        number which does not fit its type is an error, as on DuckDB, and not another number.
        """
        if self._on_spark:
            credentials = get_adapter_by_type("spark").config.credentials
            credentials.server_side_parameters["spark.sql.ansi.enabled"] = "true"
        return PluginNodes()


plugins = [Plugin]


def start(settings: dict[str, str]) -> None:
    """Start Spark in this process, unless it runs, and let SQL call the functions of functions.py
    and `substitution_clusters`.

    settings: Spark's, as profiles.yml has them.

    Raises DbtRuntimeError, with one line that says what to do.
    """
    for problem in (java_problem(), *_problems(settings)):
        if problem:
            raise DbtRuntimeError(problem)
    from pyspark.sql import SparkSession

    Path(settings["spark.sql.warehouse.dir"]).mkdir(parents=True, exist_ok=True)
    builder = SparkSession.builder.enableHiveSupport()
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise DbtRuntimeError(f"Spark does not start: {reason}") from None
    _mend(spark, Path(settings["spark.sql.warehouse.dir"]))
    text_tables = Path(settings["spark.sql.warehouse.dir"]) / "order_lines"
    shutil.rmtree(text_tables, ignore_errors=True)
    atexit.register(shutil.rmtree, text_tables, ignore_errors=True)
    functions = FUNCTIONS | order_line_functions(partial(_made, text_tables))
    for name, function in functions.items():
        spark.udf.register(name, function, "string")
    spark.udf.register("substitution_clusters", substitution_clusters, "array<array<int>>")


def _mend(spark: SparkSession, warehouse: Path) -> None:
    """Put right what a build that was killed has left: a table that still has the name under which
    it was made anew, and folders of unfinished tables, over which Spark would not write.
    """
    there = spark.catalog.databaseExists(SCHEMA)
    found = spark.sql(f"show tables in {SCHEMA}").collect() if there else []
    tables = {row.tableName for row in found}
    for name in sorted(tables):
        table = name.removesuffix("_kept")
        if table not in tables:
            spark.sql(f"alter table {SCHEMA}.{name} rename to {SCHEMA}.{table}")
            tables.add(table)
    for folder in (warehouse / SPARK_SCHEMA).glob("*/"):
        # A folder that was put there from elsewhere, with its files whole, is not deleted.
        if folder.name not in tables and (folder / "_temporary").exists():
            shutil.rmtree(folder)


def _made(folder: Path) -> Path:
    """The folder, made where it was not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java_problem() -> str | None:
    """Why Spark cannot run for want of Java, and how to get it; None where it can."""
    remedy = (
        f"Spark needs Java {JAVA} or newer: install it (on Debian, apt install "
        f"openjdk-{JAVA}-jre-headless), or set JAVA_HOME to the folder that it is in"
    )
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        return f"{where}. {remedy}"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(1\.)?(\d+)', said)
    if version is None or int(version[2]) < JAVA:
        found = f"is Java {version[2]}" if version else "does not say its version"
        return f"{java} {found}. {remedy}"
    return None


def _problems(settings: dict[str, str]) -> list[str]:
    """What is wrong with the settings, each in one line."""
    found = []
    memory = settings["spark.driver.memory"]
    if not _MEMORY.fullmatch(memory):
        found.append(f"RETAILSIM_SPARK_MEMORY={memory}: give a whole number and a unit, such as 4g")
    partitions = settings["spark.sql.shuffle.partitions"]
    if not re.fullmatch(r"[1-9]\d{0,5}", partitions):
        found.append(f"RETAILSIM_SPARK_PARTITIONS={partitions}: give a whole number, such as 4")
    compiles = settings["spark.sql.codegen.wholeStage"]
    if compiles not in ("true", "false"):
        found.append(f"RETAILSIM_SPARK_COMPILE={compiles}: say true or false")
    folder = settings["spark.sql.warehouse.dir"]
    if not folder.strip() or re.search(r"['\";]", folder):
        found.append(f"RETAILSIM_SPARK_WAREHOUSE={folder}: name a folder, without ' \" or ;")
    elif Path(folder).exists() and not Path(folder).is_dir():
        found.append(f"RETAILSIM_SPARK_WAREHOUSE={folder}: this is no folder. Name another")
    return found
