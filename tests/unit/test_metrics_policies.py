"""Policies: the built-in ones, the user's own, and what stands between two."""

from __future__ import annotations

from pathlib import Path

import pytest

from takings.errors import Misconfigured, NotFound
from takings.metrics.policies import BUILT_IN, DEFAULT, FILE, between, policy, read


def test_the_default_is_stripes_and_each_has_a_version(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == ["stripe", "chartmogul-like", "conservative"]
    assert policy(tmp_path, "stripe") is DEFAULT and DEFAULT.label == "stripe 1"
    with pytest.raises(NotFound, match="There are: stripe"):
        policy(tmp_path, "none")


def test_a_users_own_starts_from_another(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        '[ours]\nversion = 3\nfrom = "conservative"\ncancel = "at_period_end"\n\n[more]\nversion = 1\nfrom = "ours"\nonce = false\n'
    )
    ours, more = policy(tmp_path, "ours"), policy(tmp_path, "more")
    assert ours.label == "ours 3"
    assert [switch for switch, _ in between(BUILT_IN["conservative"], ours)] == ["cancel"]
    assert [switch for switch, _ in between(ours, more)] == ["once"]


def test_steps_between_two_policies_end_with_the_second(tmp_path: Path) -> None:
    for start in BUILT_IN.values():
        for end in BUILT_IN.values():
            steps = between(start, end)
            assert (steps[-1][1].switches if steps else start.switches) == end.switches


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ours", "cannot be read"),
        ("[ours]\n", "needs a whole number as version"),
        ("[stripe]\nversion = 2\n", "comes with Takings"),
        ('[ours]\nversion = 1\nfrom = "x"\n', "there is no policy “x”"),
        ("[ours]\nversion = 1\nfreeze = true\n", "there is no switch “freeze”"),
        ('[ours]\nversion = 1\ncancel = "never"\n', "cancel is one of: at_request, at_period_end"),
        ("[ours]\nversion = 1\nonce = 1\n", "once is one of: true, false"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Misconfigured, match=said):
        read(tmp_path)
