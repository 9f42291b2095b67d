"""Sessions that watch a run on the Train page of a real server, as so many browsers would: over Streamlit's own socket.

    python -m tests.benchmarks.watchers http://127.0.0.1:8501 RUN_ID 10

Each opens the page by its link and from then on asks for every timed part as often as the server told it to, which is all
that a browser does while nobody touches it. Nothing is drawn, so what is measured is what watching costs the server's machine.
"""

import asyncio
import sys
from contextlib import AsyncExitStack, suppress

from tests.shared_sessions import opened


async def main() -> None:
    """So many sessions, until the server ends; says so when the page stands in all of them."""
    address, run_id, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    async with AsyncExitStack() as tabs:
        for _ in range(number):
            await tabs.enter_async_context(opened(address, "train", run=run_id))
        print("open", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
