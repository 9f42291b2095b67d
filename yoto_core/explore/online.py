"""The one door to the network: Enrichr, asked only where the user says so, with a short patience."""

from collections.abc import Sequence

import pandas as pd
import requests

from yoto_core.errors import RunError

ENRICHR = "https://maayanlab.cloud/Enrichr"
PATIENCE = 6.0  # seconds per request
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
        sent = requests.post(f"{address}/addList", files=files, timeout=PATIENCE)
        sent.raise_for_status()
        asked = {"userListId": sent.json()["userListId"], "backgroundType": library}
        answer = requests.get(f"{address}/enrich", params=asked, timeout=PATIENCE)
        answer.raise_for_status()
        rows = answer.json()[library]
    except (requests.ConnectionError, requests.Timeout) as error:
        raise RunError(
            f"Enrichr did not answer within {PATIENCE:g} seconds.",
            hint="Without network use the shipped sets above; they need none.",
        ) from error
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"Enrichr has no answer for the library “{library}”.", hint="Check the library's name, or try again later."
        ) from error
    table = pd.DataFrame([row[: len(COLUMNS)] for row in rows], columns=COLUMNS)
    table["genes"] = [", ".join(found) for found in table["genes"]]
    return table
