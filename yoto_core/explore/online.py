"""The one door to the network: Enrichr, asked only where the user says so, with a short patience."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import requests

from yoto_core.errors import RunError

ENRICHR = "https://maayanlab.cloud/Enrichr"
PATIENCE = 6.0  # seconds per request
LARGEST = 1 << 24  # bytes of an answer; a library of ten thousand sets takes about two million
COLUMNS = ["rank", "term", "p_value", "odds_ratio", "combined_score", "genes", "adjusted_p"]


def ask_enrichr(genes: Sequence[str], library: str, *, address: str = ENRICHR) -> pd.DataFrame:
    """Enrichr's answer for a list of symbols (Chen et al. 2013, BMC Bioinformatics 14:128), best set first.

    Args:
        genes: Symbols; they are sent to `address`.
        library: The name of one of Enrichr's libraries.
        address: Where Enrichr answers.

    Raises:
        RunError: There is no network, no answer in a few seconds, or no such library.
    """
    try:
        files = {"list": (None, "\n".join(genes)), "description": (None, "gene panel")}
        added = _answer("POST", f"{address}/addList", files=files)
        asked = {"userListId": added["userListId"], "backgroundType": library}
        return _table(_answer("GET", f"{address}/enrich", params=asked)[library])
    except (requests.ConnectionError, requests.Timeout) as error:
        raise RunError(
            f"Enrichr did not answer within {PATIENCE:g} seconds.",
            hint="Without network use the shipped sets above; they need none.",
        ) from error
    except (requests.RequestException, ValueError, LookupError, TypeError, RecursionError) as error:
        raise RunError(
            f"Enrichr has no answer for the library “{library}”.", hint="Check the library's name, or try again later."
        ) from error


def _answer(method: str, address: str, **what: Any) -> Any:
    """The JSON that this host sends; no other host is asked in its place, and it may send only so much for so long."""
    with requests.request(method, address, timeout=PATIENCE, allow_redirects=False, stream=True, **what) as answer:
        if answer.status_code != requests.codes.ok:
            raise ValueError(f"status {answer.status_code}")
        content, until = bytearray(), time.monotonic() + PATIENCE
        for part in answer.iter_content(1 << 16):
            content += part
            if len(content) > LARGEST:
                raise ValueError("an answer without end")
            if time.monotonic() > until:
                raise requests.Timeout
    return json.loads(content)


def _table(rows: list[list[Any]]) -> pd.DataFrame:
    table = pd.DataFrame([list(row)[: len(COLUMNS)] for row in rows], columns=COLUMNS)
    table["genes"] = [", ".join(found) for found in table["genes"]]
    return table.astype(
        {"term": str, **dict.fromkeys(("p_value", "odds_ratio", "combined_score", "adjusted_p"), float)}
    )
