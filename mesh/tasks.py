"""Tasks that are kept while a block is entered."""

import asyncio


async def leave(group: asyncio.TaskGroup, error: BaseException | None) -> None:
    """Leaves a group whose tasks have been cancelled.

    What the block raised goes on as it is: a caller that catches a MeshError around the block need not look for it
    within a group of errors. Only a cancellation is handed to the group, which may have made it itself.
    """
    told = error if isinstance(error, asyncio.CancelledError) else None
    await group.__aexit__(None if told is None else type(told), told, None)
