from __future__ import annotations

import pytest

from fallline.errors import InputError
from fallline.study.arguments import size, stack


@pytest.mark.parametrize(
    ("given", "bytes_"),
    [
        ("8GiB", 8 * 2**30),
        ("500MB", 500_000_000),
        ("1.5 G", 1_500_000_000),
        ("2kib", 2048),
        ("7", 7),
        (10**9, 10**9),
        (None, None),
    ],
)
def test_sizes(given: object, bytes_: int | None) -> None:
    assert size("memory", given) == bytes_


@pytest.mark.parametrize(
    "given", ["8 apples", "-1", "", "GiB", "1e9", -5, 0, 0.5, float("inf"), True, "99999999999TiB"]
)
def test_what_is_no_size_is_told(given: object) -> None:
    with pytest.raises(InputError, match=r"memory=.*is not allowed; allowed are bytes, or sizes such as 8GiB or 500MB"):
        size("memory", given)


def test_stacks() -> None:
    assert [stack(given) for given in ("auto", "off", "32", 1)] == ["auto", "off", 32, 1]
