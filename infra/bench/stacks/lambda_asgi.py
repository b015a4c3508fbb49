"""Mangum around an ASGI app whose lifespan is entered once.

`Mangum(app)` enters it for each request, which the SDK's session manager refuses from the second on
(modelcontextprotocol/python-sdk#3121).
"""

import asyncio

from mangum import Mangum

_started = []  # the lifespan's task must not be collected


def wrap(app):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def start():
        received, sent = asyncio.Queue(), asyncio.Queue()
        await received.put({"type": "lifespan.startup"})
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        _started.append(asyncio.ensure_future(app(scope, received.get, sent.put)))
        message = await sent.get()
        assert message["type"] == "lifespan.startup.complete", message

    loop.run_until_complete(start())
    return Mangum(app, lifespan="off")
