"""The wheel holds every file of every package, and what is promised is what is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("warehouse", "spark", "trainer", "serving", "environments", "dev")
NOT_SHIPPED = {"benchmarks"}  # they time `dbt build`, which needs a checkout


@pytest.fixture(scope="module")
def project() -> dict:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_holds_every_file_of_every_package(project, tmp_path):
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_SHIPPED
    source = tmp_path / "source"
    for package in packages:
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=compiled)
    for file in ("pyproject.toml", project["project"]["readme"], "LICENSE"):
        shutil.copy(ROOT / file, source)
    files = {
        path.relative_to(source).as_posix()
        for package in packages
        for path in (source / package).rglob("*")
        if path.is_file()
    }

    backend = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", backend, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert {"dbt_project", "trainer", "serving"} <= packages
    assert shipped == files


def test_every_promised_python_is_run(project):
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    prefix = "Programming Language :: Python :: "
    promised = [
        classifier.removeprefix(prefix)
        for classifier in project["project"]["classifiers"]
        if classifier.startswith(prefix)
    ]

    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == promised
    assert project["project"]["requires-python"] == f">={promised[0]}"


def test_every_direct_dependency_is_pinned(project):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.split("==")[0]) for line in lines if "==" in line}
    extras = project["project"]["optional-dependencies"]
    requirements = [
        *project["project"]["dependencies"],
        *(line for extra in EXTRAS for line in extras[extra]),
    ]

    assert {canonicalize_name(Requirement(line).name) for line in requirements} <= pinned
