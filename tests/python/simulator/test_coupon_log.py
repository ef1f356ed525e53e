"""Logs of trials as files: what comes back, and the one line for what is no log."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from simulator.coupon_log import FILE, CouponLog
from simulator.tensor_file import padded
from trainer.commands.errors import InputError

FACTS = ("first", "lasts", "depth", "chain")


def log() -> CouponLog:
    """Two rounds, three cards, coupons on two of four products, and five purchases."""
    given = np.zeros((2, 3, 2), bool)
    given[0, 0] = given[1, 1:] = True
    return CouponLog(
        customer=padded(["ANN", "BO", "CY"]),
        code=padded(["P1", "P2", "P3", "P4"]),
        product=np.array([1, 3]),
        week=np.array([5, 9]),
        given=given,
        who=np.array([0, 0, 1, 2, 2]),
        when=np.array([3, 5, 9, 10, 12]),
        trip=np.arange(5),
        bought=np.array([0, 1, 3, 3, 2]),
        units=np.array([1, 2, 1, 1, 3]),
        paid=np.array([100, 190, 80, 90, 300]),
        off=np.array([0, 10, 9, 0, 0]),
        first=2,
        lasts=4,
        depth=0.1,
        chain="digest",
    )


def arrays_of(one: CouponLog) -> dict[str, np.ndarray]:
    return {f.name: getattr(one, f.name) for f in fields(one) if f.name not in FACTS}


def facts_of(one: CouponLog) -> dict:
    return {name: getattr(one, name) for name in FACTS}


def test_a_log_comes_back_as_it_was(tmp_path):
    path = tmp_path / "trial"
    log().save(path)
    found = CouponLog.load(path)
    for name, values in arrays_of(log()).items():
        np.testing.assert_array_equal(getattr(found, name), values)
    assert facts_of(found) == facts_of(log()) and found.last == 12


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"who": np.arange(4)}, "when has 5 items, where others have 4"),
        ({"given": np.ones((2, 4, 2), bool)}, "given has 4 cards, where others have 3"),
        ({"given": np.ones((2, 3), bool)}, "given is bool [2, 3], as it never is"),
        ({"given": np.ones((2, 3, 2))}, "given is float64 [2, 3, 2], as it never is"),
        ({"units": np.array([1, 2.5, 1, 1, 3])}, "units is float64 [5], as it never is"),
        ({"paid": np.array([1, np.nan, 1, 1, 3])}, "paid is not all numbers"),
        ({"paid": np.array([100, 190, -80, 90, 300])}, "paid, place 2: -80, where 0 to "),
        ({"off": np.array([0, -10, 0, 0, 0])}, "off, place 1: -10, where 0 to "),
        ({"units": np.array([1, 2, 1, 1, 0])}, "units, place 4: 0, where 1 to "),
        ({"who": np.array([0, 0, 3, 2, 2])}, "who, place 2: 3, where 0 to 2 are expected"),
        ({"bought": np.array([-1, 1, 3, 3, 2])}, "bought, place 0: -1, where 0 to 3 are"),
        ({"product": np.array([1, 4])}, "product, place 1: 4, where 0 to 3 are expected"),
        ({"product": np.array([1, 1])}, "product has a number twice"),
        ({"when": np.array([3, 5, 9, 10, 13])}, "when, place 4: 13, where 2 to 12 are expected"),
        ({"week": np.array([1, 9])}, "week, place 0: 1, where 2 to "),
        ({"week": np.array([9, 9])}, "week has a number twice"),
        ({"week": np.zeros(0, int), "given": np.ones((0, 3, 2), bool)}, "week has 0 rounds, where"),
        ({"customer": np.full((3, 2), 0xFF, np.uint8)}, "customer is not text"),
        ({"code": padded(["P1", "P2", "P2", "P4"])}, "code has a code twice"),
        ({"code": np.array([1, 2, 3, 4], np.uint8)}, "code is uint8 [4], as it never is"),
        ({"first": 0}, "first is 0, where a whole number from 1 to "),
        ({"lasts": 1.5}, "lasts is 1.5, where a whole number"),
        ({"lasts": 10**9}, "lasts is 1000000000, where a whole number"),
        ({"depth": float("nan")}, "depth is nan, where a share above 0"),
        ({"depth": 1.0}, "depth is 1.0, where a share above 0 and up to 0.95"),
        ({"depth": "x"}, "depth is 'x', where a share"),
        ({"chain": 7}, "chain is not text"),
    ],
)
def test_a_log_that_cannot_be_is_refused(tmp_path, change, says):
    """Of a digest that is right, as a faulty writer would make it."""
    refused(tmp_path, lambda path: replace(log(), **change).save(path), says)


def without(name: str):
    def write(path):
        arrays, facts = arrays_of(log()), facts_of(log())
        arrays.pop(name, None)
        facts.pop(name, None)
        FILE.write(path, arrays, facts)

    return write


def foreign(path):
    save_file({"x": np.zeros(3)}, path, {"format": "retailsim.policy.1"})


def changed(path):
    """Digest and all are those of another log."""
    log().save(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"digest", b"digger", 1))


def flipped(path):
    log().save(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (without("bought"), "bought is missing or unknown"),
        (without("depth"), "depth is missing or unknown"),
        (lambda p: FILE.write(p, arrays_of(log()) | {"more": np.ones(2)}, facts_of(log())), "more"),
        (lambda p: FILE.write(p, arrays_of(log()), [1]), "chain is missing or unknown"),
        (lambda p: FILE.write(p, {}, facts_of(log())), "bought is missing or unknown"),
        (lambda p: p.write_bytes(b""), "cannot be read"),
        (lambda p: p.write_text("who,bought\n1,2\n"), "cannot be read"),
        (lambda p: p.write_text(json.dumps({"first": 1})), "cannot be read"),
        (lambda p: p.mkdir(), "there is no such file"),
        (lambda p: None, "there is no such file"),
        (foreign, "is no log of a trial, or of another version"),
        (changed, ""),
        (flipped, "is damaged or was changed"),
        (lambda p: (log().save(p), p.write_bytes(p.read_bytes()[:-9])), "cannot be read"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, write, says):
    refused(tmp_path, write, says)


def refused(folder, write, says):
    path = folder / "trial"
    write(path)
    with pytest.raises(InputError) as error:
        CouponLog.load(path)
    message = str(error.value)
    assert message.startswith(str(path)) and says in message and "\n" not in message
    assert message.count("python -m simulator.policy trial writes them") == 1
