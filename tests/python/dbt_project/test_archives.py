"""A gzipped file that does not unpack to what was packed stops before anything is read."""

from __future__ import annotations

import gzip
import os

import pytest
from receipts import HEADER, TIME, line


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "time.csv").write_text(TIME)
    return tmp_path / "raw"


def packed(raw, name="transactions_200607.csv.gz"):
    path = raw / name
    path.write_bytes(gzip.compress(f"{HEADER}\n{line()}\n".encode()))
    return path


def test_every_damage_is_found(raw):
    from dbt_project.archives import check_archives

    path = packed(raw)
    whole = path.read_bytes()
    check_archives(raw, set())
    # Bytes 3 to 9 are the header's flags and time and name, which say nothing of the content.
    for place in range(10, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(RuntimeError, match=r"transactions_200607.csv.gz: damaged archive \("):
            check_archives(raw, set())
        path.write_bytes(whole[:place])
        with pytest.raises(RuntimeError, match="Copy or download it again"):
            check_archives(raw, set())


def test_whatever_else_lies_there_is_left_to_others(raw):
    from dbt_project.archives import check_archives

    (raw / "photos.gz").write_bytes(b"none")
    (raw / "transactions_200608.csv").write_bytes(b"none")
    (raw / "transactions_folder.gz").mkdir()
    check_archives(raw, set())
    check_archives(raw / "nowhere", set())


def test_dbt_stops_and_reads_a_known_archive_no_more(dbt, raw, tmp_path):
    path = packed(raw)
    warehouse = dbt("run", "--select", "staging", raw=raw)
    assert warehouse.value("select count(*) from stg_transactions") == 1
    known, content = path.stat(), path.read_bytes()
    damaged = bytearray(content)
    damaged[-8] ^= 1  # a byte of the checksum
    path.write_bytes(damaged)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert dbt("run", "--select", "stg_weeks", raw=raw, into=warehouse).returncode == 0
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns + 10**9))
    for command in (["run"], ["build", "--quiet"]):
        result = dbt(*command, raw=raw, into=warehouse)
        assert result.returncode == 2
        last = result.output.rstrip().splitlines()[-1].strip()
        assert last.startswith("Raw data: ") and "transactions_200607.csv.gz: damaged" in last
    assert warehouse.value("select count(*) from stg_transactions") == 1
