"""One file for each fault a user meets, refused by name, line and value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from refused_plain import PLAIN
from refused_structured import STRUCTURED
from small_files import put

from meshconv import errors as e
from meshconv.io import load

# wordings by which inner exceptions of other libraries betray themselves
LEAKY = re.compile(
    r"cannot reshape|could not convert string|invalid literal|buffer (is )?(smaller|size)|unpack|"
    r"inhomogeneous|setting an array|out of bounds|zero-size array|at least one array|broadcast|"
    r"dimension|not aligned|dtype",
    re.IGNORECASE,
)


@pytest.mark.parametrize(("name", "content", "error", "words"), [*PLAIN, *STRUCTURED])
def test_refused_by_name_place_and_value(
    tmp_path: Path,
    name: str,
    content: str | bytes,
    error: type[e.MeshConvError],
    words: tuple[str, ...],
) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(error) as caught:
        load(path)
    text = str(caught.value)
    assert caught.value.path == str(path) and str(path) in text
    assert [word for word in words if word not in text] == []
    assert not LEAKY.search(text)
