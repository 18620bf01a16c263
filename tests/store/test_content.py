"""A document apart and whole again."""

from hypothesis import given
from hypothesis import strategies as st

from mailwitness.store.content import join, split
from tests.lab.audit import RECORDED

_PIECES = [b'"seconds":', b"1.5", b'"at":', b'"x"', b"\0", b"packets 1 bytes 2", b"[1:2]", b"\\"]


@given(st.one_of(st.binary(), st.lists(st.sampled_from(_PIECES)).map(b"".join)))
def test_whatever_it_is_it_comes_back(content: bytes) -> None:
    assert join(*split(content)) == content


def test_another_night_of_the_same_host_is_the_same_content() -> None:
    tonight = (RECORDED / "good/host.json").read_bytes()
    assert b'"started_at":"2026-' in tonight
    later = tonight.replace(b'"started_at":"2026-', b'"started_at":"2027-')
    counted = b'"x":"counter packets 7 bytes 420 accept [3:180]"'
    more = b'"x":"counter packets 9 bytes 540 accept [4:240]"'
    assert tonight != later
    assert split(tonight)[0] == split(later)[0]
    assert split(counted)[0] == split(more)[0]
    assert split(b'"port":993')[0] != split(b'"port":143')[0]
