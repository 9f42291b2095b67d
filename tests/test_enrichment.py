"""Enrichment on sets with a planted answer: sizes, background, correction, case, files and the way to Enrichr."""

import contextlib
import http.server
import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from yoto_core.errors import ConfigError, DataError, RunError
from yoto_core.explore import enrichment, online

BACKGROUND = [f"GENE{i}" for i in range(200)]
SETS = {
    "planted": tuple(BACKGROUND[:10]),
    "elsewhere": tuple(BACKGROUND[100:130]),
    "tiny": tuple(BACKGROUND[:3]),
    "huge": tuple(BACKGROUND),
    "outside": ("NOBODY1", "NOBODY2", "NOBODY3", "NOBODY4", "NOBODY5"),
}


def test_the_planted_set_comes_first_with_the_hypergeometric_p():
    found = enrichment.enrich([*BACKGROUND[:8], "GENE150"], BACKGROUND, {"toy": SETS}, max_set=100)
    first = found.table.iloc[0]
    assert first["term"] == "planted"
    assert first["hits"] == 8
    assert first["p_value"] == pytest.approx(stats.hypergeom.sf(7, 200, 10, 9))
    assert first["genes"] == ", ".join(sorted(BACKGROUND[:8]))


def test_sets_outside_the_limits_are_left_out_and_counted():
    found = enrichment.enrich(BACKGROUND[:8], BACKGROUND, {"toy": SETS}, max_set=100)
    assert (found.tested, found.left_out) == (2, 3)


def test_the_correction_counts_sets_without_a_hit():
    found = enrichment.enrich(BACKGROUND[:8], BACKGROUND, {"toy": SETS}, max_set=100)
    row = found.table.iloc[0]
    assert row["adjusted_p"] == pytest.approx(min(1, 2 * row["p_value"]))


def test_genes_outside_the_background_are_dropped_and_named():
    found = enrichment.enrich(["GENE1", "FOREIGN"], BACKGROUND, {"toy": SETS}, max_set=100)
    assert (found.query, found.dropped, found.background) == (1, ("FOREIGN",), 200)


def test_no_hit_gives_an_empty_table():
    found = enrichment.enrich(["GENE199"], BACKGROUND, {"toy": SETS}, max_set=100)
    assert found.table.empty
    assert list(found.table.columns) == enrichment.COLUMNS
    assert found.significant().empty


def test_names_are_compared_as_spelled_unless_asked_otherwise():
    mouse = [gene.capitalize() for gene in BACKGROUND]
    with pytest.raises(ConfigError, match="No gene set"):
        enrichment.enrich(mouse[:8], mouse, {"toy": SETS})
    found = enrichment.enrich(mouse[:8], mouse, {"toy": SETS}, ignore_case=True, max_set=100)
    assert found.table["term"][0] == "planted"
    assert found.table["genes"][0].startswith("Gene0, ")


def test_a_list_wholly_outside_the_background_is_refused():
    with pytest.raises(ConfigError, match="None of these genes"):
        enrichment.enrich(["X"], BACKGROUND, {"toy": SETS})


def test_every_shipped_library_can_be_read():
    counts = {library.name: len(enrichment.shipped_sets(library.name)) for library in enrichment.LIBRARIES}
    assert counts == {"hallmark": 50, "go_bp": 6036, "reactome": 1448, "wikipathways": 500}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"one line of prose", "no gene set"),
        (b"a\tb\n", "no gene set"),
        (b"\xff\xfe\x00", "not a text"),
    ],
)
def test_a_broken_gmt_is_refused_with_a_sentence(content, said):
    with pytest.raises(DataError, match=said):
        enrichment.uploaded_sets(content, "mine.gmt")


def test_a_gmt_keeps_weights_and_blanks_out_of_the_names():
    sets = enrichment.uploaded_sets("\ufeffmy set\tnote\tA,1.0\t\tB\n\nother\t\tC\n".encode(), "mine.gmt")
    assert sets == {"my set": ("A", "B"), "other": ("C",)}


def test_a_set_named_again_and_again_gathers_its_genes_once():
    lines = "".join(f"one\tnote\tG{i % 500}\n" for i in range(300_000))  # gathering by copies would take minutes
    assert enrichment.uploaded_sets(lines.encode(), "mine.gmt") == {"one": tuple(f"G{i}" for i in range(500))}


def test_more_sets_than_can_be_tested_are_refused():
    lines = "".join(f"set{i}\t\tA\n" for i in range(enrichment.MOST_SETS + 1))
    with pytest.raises(DataError, match=r"mine\.gmt holds 100,001 gene sets\."):
        enrichment.uploaded_sets(lines.encode(), "mine.gmt")


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_sets_or_a_sentence(content):
    with contextlib.suppress(DataError):
        sets = enrichment.uploaded_sets(content, "mine.gmt")
        assert sets
        assert all(term and genes and all(genes) for term, genes in sets.items())


def test_mouse_symbols_are_noticed_and_human_ones_are_not():
    assert enrichment.not_human(["Gad1", "Sst", "mt-Co1"])
    assert not enrichment.not_human(["GAD1", "SST", "C1orf56", "MT-CO1"])
    assert not enrichment.not_human([])


ANSWER = {"GO": [[1, "a term", 0.01, 3.0, 9.0, ["B2M", "HLA-A"], 0.02, 0, 0]]}


class _Enrichr(http.server.BaseHTTPRequestHandler):
    def _say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say({"userListId": 7})

    def do_GET(self):
        if "Elsewhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.2:9/")
            self.end_headers()
            return
        odd = {
            "List": [1],
            "Text": [[1, "a term", "low", 3.0, 9.0, ["B2M"], 0.1]],
            "Short": [[1]],
            "Numbers": [[1, "a term", 0, 0, 0, [7], 0]],
            "Long": ["x" * online.LARGEST],
        }
        asked = self.path.rpartition("=")[2]
        self._say({asked: odd[asked]} if asked in odd else ANSWER)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def enrichr():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Enrichr)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_enrichr_s_answer_becomes_a_table(enrichr):
    table = online.ask_enrichr(["B2M", "HLA-A"], "GO", address=enrichr)
    assert table.loc[0, ["term", "genes"]].tolist() == ["a term", "B2M, HLA-A"]
    assert np.isclose(table["adjusted_p"][0], 0.02)


@pytest.mark.parametrize("library", ["Nope", "Elsewhere", "List", "Text", "Short", "Numbers", "Long"])
def test_an_unknown_library_and_an_odd_answer_are_said(library, enrichr):
    with pytest.raises(RunError, match=f"no answer for the library “{library}”"):
        online.ask_enrichr(["B2M"], library, address=enrichr)


def test_without_network_one_sentence_says_so():
    with pytest.raises(RunError, match="did not answer"):
        online.ask_enrichr(["B2M"], "GO", address="http://127.0.0.1:9")
