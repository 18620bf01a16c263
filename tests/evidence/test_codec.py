import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwitness.evidence import codec
from mailwitness.evidence.codec import Document, EvidenceError, decode, dumps, encode, loads
from mailwitness.evidence.host import HostEvidence
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.evidence.run import Failure, Run
from tests.evidence.documents import DOCUMENTS, FAILURE, HOST, PROBE, RUN

KINDS: tuple[type[Document], ...] = (HostEvidence, ProbeEvidence, Run, Failure)


def as_json(document: Document) -> Any:
    return json.loads(dumps(document))


def put(value: Any, path: tuple[Any, ...], new: object) -> None:
    *parents, last = path
    for step in parents:
        value = value[step]
    value[last] = new


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a JSON value lies."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


class TestRoundTrip:
    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_a_document_survives_its_json_form(self, name: str) -> None:
        document = DOCUMENTS[name]
        assert loads(dumps(document), type(document)) == document

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_bytes_are_read_as_text_is(self, name: str) -> None:
        document = DOCUMENTS[name]
        assert loads(dumps(document).encode("ascii"), type(document)) == document

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_decoding_and_encoding_again_gives_the_same_bytes(self, name: str) -> None:
        text = dumps(DOCUMENTS[name])
        assert dumps(loads(text, type(DOCUMENTS[name]))) == text

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_the_json_form_is_one_line_of_ascii_that_names_its_schema_first(
        self, name: str
    ) -> None:
        text = dumps(DOCUMENTS[name])
        assert text.isascii()
        assert "\n" not in text
        assert text.startswith(f'{{"schema":"{DOCUMENTS[name].SCHEMA}"')

    def test_the_schemas_are_a_contract(self) -> None:
        assert [kind.SCHEMA for kind in KINDS] == [
            "mailwitness/host/1",
            "mailwitness/probe/1",
            "mailwitness/run/1",
            "mailwitness/failure/1",
        ]

    def test_missing_is_an_object_with_its_reason(self) -> None:
        assert as_json(HOST)["packet_filter"]["ip6tables"] == {"missing": "not permitted"}

    def test_a_kind_of_missing_is_none_of_its_own_in_json(self) -> None:
        class NoEnd(Missing):
            pass

        assert encode({"dovecot": NoEnd("no end within 10 s")}) == {
            "dovecot": {"missing": "no end within 10 s"}
        }

    def test_either_of_two_kinds_is_taken_by_its_schema(self) -> None:
        assert loads(dumps(FAILURE), HostEvidence, Failure) == FAILURE
        assert loads(dumps(HOST), HostEvidence, Failure) == HOST

    @given(
        note=st.none() | st.text(),
        inside=st.booleans(),
        vantages=st.lists(st.text()).map(tuple),
    )
    def test_any_text_survives(
        self, *, note: "str | None", inside: bool, vantages: tuple[str, ...]
    ) -> None:
        run = Run("2024-01-01T00:00:00Z", note, inside, vantages, ())
        assert loads(dumps(run), Run) == run

    def test_a_file_name_that_is_not_utf_8_comes_with_escapes(self) -> None:
        name = b"/opt/\xff\xe9".decode("utf-8", "surrogateescape")
        failure = Failure("mail1", "failed", name, "2024-01-01T00:00:00Z")
        assert loads(dumps(failure), Failure).reason == "/opt/\\udcff\\udce9"

    def test_a_whole_number_is_taken_for_seconds(self) -> None:
        value = as_json(PROBE)
        value["seconds"] = 3
        document = loads(json.dumps(value), ProbeEvidence)
        assert document.seconds == 3.0
        assert type(document.seconds) is float


class TestStrictness:
    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_a_field_that_is_left_out_is_named_wherever_it_is(self, name: str) -> None:
        kind = type(DOCUMENTS[name])
        for path in places(as_json(DOCUMENTS[name])):
            if isinstance(path[-1], int) or _is_free_key(path) or path == ("schema",):
                continue
            value = as_json(DOCUMENTS[name])
            parent = value
            for step in path[:-1]:
                parent = parent[step]
            del parent[path[-1]]
            with pytest.raises(EvidenceError) as error:
                loads(json.dumps(value), kind)
            assert path[-1] in str(error.value) or path[-1] == "missing"

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_a_field_that_the_schema_does_not_know_is_refused_wherever_it_is(
        self, name: str
    ) -> None:
        kind = type(DOCUMENTS[name])
        for path in [(), *places(as_json(DOCUMENTS[name]))]:
            value = as_json(DOCUMENTS[name])
            parent = value
            for step in path:
                parent = parent[step]
            if not isinstance(parent, dict) or _is_free(path):
                continue
            parent["surprise"] = 1
            with pytest.raises(EvidenceError):
                loads(json.dumps(value), kind)

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_a_value_of_another_type_is_refused_with_its_path(self, name: str) -> None:
        kind = type(DOCUMENTS[name])
        for path in places(as_json(DOCUMENTS[name])):
            if path == ("schema",):
                continue
            wrongs: list[object] = [[[]], {"a": [[]]}]
            for wrong in wrongs:
                value = as_json(DOCUMENTS[name])
                put(value, path, wrong)
                with pytest.raises(EvidenceError) as error:
                    loads(json.dumps(value), kind)
                assert error.value.path.startswith(_path(path))

    def test_true_is_no_number(self) -> None:
        value = as_json(HOST)
        value["agent"]["uid"] = True
        with pytest.raises(EvidenceError, match=re.escape("$.agent.uid: int is expected")):
            loads(json.dumps(value), HostEvidence)

    def test_true_is_no_fraction(self) -> None:
        value = as_json(PROBE)
        value["seconds"] = True
        with pytest.raises(EvidenceError, match=re.escape("$.seconds: float is expected")):
            loads(json.dumps(value), ProbeEvidence)

    def test_one_is_not_true(self) -> None:
        value = as_json(RUN)
        value["inside"] = 1
        with pytest.raises(EvidenceError, match=re.escape("$.inside: bool is expected, not int")):
            loads(json.dumps(value), Run)

    def test_a_fraction_is_no_whole_number(self) -> None:
        value = as_json(HOST)
        value["agent"]["uid"] = 0.0
        with pytest.raises(EvidenceError, match=re.escape("$.agent.uid: int is expected")):
            loads(json.dumps(value), HostEvidence)

    @pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
    def test_a_port_is_from_1_to_65535(self, port: int) -> None:
        value = as_json(PROBE)
        value["observations"][1]["port"] = port
        with pytest.raises(EvidenceError, match=re.escape("$.observations[1].port")):
            loads(json.dumps(value), ProbeEvidence)

    @pytest.mark.parametrize("port", [1, 65535])
    def test_the_bounds_of_a_port_are_ports(self, port: int) -> None:
        value = as_json(RUN)
        value["hosts"][0]["ports"] = [port]
        assert loads(json.dumps(value), Run).hosts[0].ports == (port,)

    def test_a_port_that_is_true_is_refused(self) -> None:
        value = as_json(RUN)
        value["hosts"][0]["ports"] = [25, True]
        with pytest.raises(EvidenceError, match=re.escape("$.hosts[0].ports[1]")):
            loads(json.dumps(value), Run)

    @pytest.mark.parametrize("word", ["", "IMAP", "http", None, 1, ["imap"], {}, True])
    def test_a_word_outside_a_choice_is_refused(self, word: object) -> None:
        value = as_json(PROBE)
        value["observations"][0]["protocol"] = word
        with pytest.raises(EvidenceError, match=re.escape("$.observations[0].protocol")):
            loads(json.dumps(value), ProbeEvidence)

    def test_null_is_refused_where_nothing_is_no_answer(self) -> None:
        value = as_json(HOST)
        value["packet_filter"]["nft"] = None
        with pytest.raises(EvidenceError, match=re.escape("$.packet_filter.nft: str is expected")):
            loads(json.dumps(value), HostEvidence)

    def test_missing_is_refused_where_a_fact_must_be(self) -> None:
        value = as_json(HOST)
        value["host"] = {"missing": "forgotten"}
        with pytest.raises(EvidenceError, match=re.escape("$.host: str is expected, not dict")):
            loads(json.dumps(value), HostEvidence)

    @pytest.mark.parametrize("reason", [None, 1, [], {}, True])
    def test_the_reason_of_a_missing_is_a_text(self, reason: object) -> None:
        value = as_json(HOST)
        value["sockets"] = {"missing": reason}
        with pytest.raises(EvidenceError, match=re.escape("$.sockets.missing")):
            loads(json.dumps(value), HostEvidence)

    def test_a_hostile_key_is_shown_short_and_in_ascii(self) -> None:
        value = as_json(HOST)
        value["postfix"]["settings"] = {"\x1b[31m\u202e" * 10_000: 1}
        with pytest.raises(EvidenceError) as error:
            loads(json.dumps(value), HostEvidence)
        assert len(str(error.value)) < 300
        assert str(error.value).isprintable()

    @pytest.mark.parametrize("place", ["host", "reason"])
    def test_text_that_no_file_can_hold_is_refused(self, place: str) -> None:
        text = json.dumps({**as_json(FAILURE), place: "\ud800"})
        with pytest.raises(EvidenceError, match=re.escape(f"$.{place}")):
            loads(text, Failure)

    def test_a_hostile_value_is_shown_short_and_in_ascii(self) -> None:
        value = as_json(FAILURE)
        value["kind"] = "\x1b[31m\u202e" * 10_000
        with pytest.raises(EvidenceError) as error:
            loads(json.dumps(value), Failure)
        assert len(str(error.value)) < 200
        assert str(error.value).isprintable()


class TestSchema:
    def test_a_newer_one_asks_for_an_upgrade(self) -> None:
        value = as_json(HOST)
        value["schema"] = "mailwitness/host/2"
        with pytest.raises(EvidenceError, match=r"\$\.schema: .*newer.*upgrade mailwitness"):
            loads(json.dumps(value), HostEvidence)

    @pytest.mark.parametrize(
        "schema",
        [
            "mailwitness/probe/1",
            "mailwitness/host/0",
            "mailwitness/host/x",
            "mailwitness/host/",
            "mailwitness/host",
            "mailwitness/host/-2",
            "mailwitness/host/²",
            "mailwitness/host/" + "9" * 10_000,
            "",
            "/",
        ],
    )
    def test_another_one_is_refused_with_what_is_expected(self, schema: str) -> None:
        value = as_json(HOST)
        value["schema"] = schema
        with pytest.raises(EvidenceError, match="mailwitness/host/1") as error:
            loads(json.dumps(value), HostEvidence)
        assert error.value.path == "$.schema"

    @pytest.mark.parametrize("schema", [None, 1, [], {}, True])
    def test_one_that_is_no_text_is_no_evidence(self, schema: object) -> None:
        with pytest.raises(EvidenceError, match="not evidence of mailwitness"):
            loads(json.dumps({"schema": schema}), HostEvidence)

    def test_none_at_all_is_no_evidence(self) -> None:
        with pytest.raises(EvidenceError, match="not evidence of mailwitness"):
            loads("{}", HostEvidence)

    def test_neither_of_two_kinds_names_both(self) -> None:
        with pytest.raises(EvidenceError, match="mailwitness/host/1 or mailwitness/failure/1"):
            loads(dumps(RUN), HostEvidence, Failure)


class TestNotJson:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "{",
            "nonsense",
            '{"a":}',
            "{'a': 1}",
            b"\xff\xfe\xfd",
            b"\x00",
            b"\xef\xbb\xbf{}",
        ],
    )
    def test_it_is_refused(self, text: "str | bytes") -> None:
        with pytest.raises(EvidenceError, match=r"^\$"):
            loads(text, Run)

    @pytest.mark.parametrize("value", [[], "run", 1, 1.5, True, None])
    def test_json_that_is_no_object_is_refused(self, value: object) -> None:
        with pytest.raises(EvidenceError, match="an object is expected"):
            loads(json.dumps(value), Run)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
    def test_what_json_has_no_number_for_is_refused(self, number: str) -> None:
        text = dumps(PROBE).replace('"seconds":3.5', f'"seconds":{number}')
        with pytest.raises(EvidenceError, match="no JSON number"):
            loads(text, ProbeEvidence)

    def test_a_number_too_large_for_a_fraction_is_refused(self) -> None:
        text = dumps(PROBE).replace('"seconds":3.5', f'"seconds":{"9" * 4000}')
        with pytest.raises(EvidenceError, match=re.escape("$.seconds")):
            loads(text, ProbeEvidence)

    def test_a_number_whose_exponent_is_too_large_is_refused(self) -> None:
        text = dumps(PROBE).replace('"seconds":3.5', '"seconds":1e999')
        with pytest.raises(EvidenceError, match=re.escape("$.seconds: a number too large")):
            loads(text, ProbeEvidence)

    def test_a_number_of_too_many_digits_is_refused(self) -> None:
        text = dumps(PROBE).replace('"seconds":3.5', f'"seconds":{"9" * 100_000}')
        with pytest.raises(EvidenceError):
            loads(text, ProbeEvidence)

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
    def test_100000_brackets_are_refused(self, opening: str, closing: str) -> None:
        deep = opening * 100_000 + "1" + closing * 100_000
        with pytest.raises(EvidenceError, match="nested too deeply"):
            loads(f'{{"schema":"mailwitness/run/1","hosts":{deep}}}', Run)

    def test_brackets_that_are_never_closed_are_refused(self) -> None:
        with pytest.raises(EvidenceError):
            loads("[" * 100_000, Run)

    def test_what_is_longer_than_the_limit_is_refused_unread(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = dumps(RUN)
        monkeypatch.setattr(codec, "MAX_DOCUMENT_BYTES", len(text))
        assert loads(text, Run) == RUN
        with pytest.raises(EvidenceError, match=r"^\$: longer than"):
            loads(text + " ", Run)

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_a_document_cut_off_anywhere_is_refused(self, name: str) -> None:
        text = dumps(DOCUMENTS[name])
        for end in range(0, len(text), 50):
            with pytest.raises(EvidenceError):
                loads(text[:end], type(DOCUMENTS[name]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("missing"), inner),
    max_leaves=20,
)


class TestArbitraryJson:
    @given(value=JSON, kind=st.sampled_from(KINDS))
    def test_decoding_raises_nothing_but_an_evidence_error(
        self, value: object, kind: type[Document]
    ) -> None:
        with contextlib.suppress(EvidenceError):
            decode(kind, value)

    @given(data=st.data(), new=JSON, name=st.sampled_from(sorted(DOCUMENTS)))
    def test_a_document_with_one_value_replaced_decodes_or_is_refused(
        self, data: st.DataObject, new: object, name: str
    ) -> None:
        value = as_json(DOCUMENTS[name])
        del value["schema"]
        put(value, data.draw(st.sampled_from(places(value))), new)
        kind = type(DOCUMENTS[name])
        try:
            document = decode(kind, value)
        except EvidenceError:
            pass
        else:
            assert decode(kind, encode(document)) == document

    @given(text=st.text() | st.binary())
    def test_arbitrary_text_is_refused(self, text: "str | bytes") -> None:
        with pytest.raises(EvidenceError):
            loads(text, Run)


def test_a_missing_needs_no_more_than_its_reason() -> None:
    assert decode(Missing, {"missing": "gone"}) == Missing("gone")


def _path(path: tuple[Any, ...]) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


_TABLES = {"server_names", "client_tables", "dh_bits"}


def _is_free(path: tuple[Any, ...]) -> bool:
    """Whether the object there has keys of any name."""
    free = {"settings", "main", "overrides", "commands", *_TABLES}
    return (path[-1:] != () and path[-1] in free) or path == ("dovecot", "settings", "imap")


def _is_free_key(path: tuple[Any, ...]) -> bool:
    names = {"settings", "main", "overrides", "commands"}
    return any(step in names for step in path[:-1]) or bool(_TABLES & {*path[-2:-1]})
