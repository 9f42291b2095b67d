"""Sessions that watch a run on the Train page of a real server, as so many browsers would: over Streamlit's own socket.

    python -m tests.benchmarks.watchers http://127.0.0.1:8501 RUN_ID 10

Each opens the page by its link and from then on asks for every timed part as often as the server told it to, which is all
that a browser does while nobody touches it. Nothing is drawn, so what is measured is what watching costs the server's machine.
"""

import asyncio
import sys
from contextlib import suppress

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


def ask(run_id: str, fragment: str = "") -> bytes:
    """A request for the page, or for one timed part of it."""
    message = BackMsg()
    message.rerun_script.query_string = f"run={run_id}"
    message.rerun_script.page_name = "train"
    message.rerun_script.fragment_id = fragment
    message.rerun_script.is_auto_rerun = bool(fragment)
    return message.SerializeToString()


async def tick(socket: ClientConnection, run_id: str, fragment: str, every: float) -> None:
    """Ask for one timed part again and again."""
    while True:
        await asyncio.sleep(every)
        await socket.send(ask(run_id, fragment))


async def watch(address: str, run_id: str, opened: asyncio.Event) -> None:
    """One session, until the server ends; `opened` is set once the page stands."""
    async with connect(f"{address.replace('http', 'ws')}/_stcore/stream", max_size=None) as socket:
        await socket.send(ask(run_id))
        timers: dict[str, asyncio.Task[None]] = {}
        async for content in socket:
            message = ForwardMsg.FromString(content)
            kind = message.WhichOneof("type")
            if kind == "new_session" and not message.metadata.run.fragment_ids:
                for timer in timers.values():
                    timer.cancel()
                timers.clear()
            elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in timers:
                part, every = message.auto_rerun.fragment_id, message.auto_rerun.interval
                timers[part] = asyncio.create_task(tick(socket, run_id, part, every))
            elif kind == "script_finished":
                opened.set()


async def main() -> None:
    """So many sessions; says so when the page stands in all of them."""
    address, run_id, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            opened = asyncio.Event()
            group.create_task(watch(address, run_id, opened))
            await opened.wait()
        print("open", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
