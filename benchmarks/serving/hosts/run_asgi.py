"""uvicorn with nothing on it. With ANSWER it runs no model: it gives the bytes of that file."""

import os
from pathlib import Path

import uvicorn
from session import run_bytes

CONSTANT = Path(os.environ["ANSWER"]).read_bytes() if "ANSWER" in os.environ else b""
HEAD = {"type": "http.response.start", "status": 200}


async def app(_, receive, send):
    """Read the body, answer."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = CONSTANT or run_bytes(body)
    length = str(len(answer)).encode()
    await send({**HEAD, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(app, port=port, log_level="error", lifespan="off", http="httptools", loop="uvloop")
