"""FastAPI on uvicorn, bytes in and bytes out: the server that people write themselves."""

import os

import uvicorn
from fastapi import FastAPI, Request, Response
from session import run_bytes

app = FastAPI()


@app.post("/")
async def infer(request: Request) -> Response:
    """Run the model on the loop, which for such models is faster than a thread."""
    return Response(run_bytes(await request.body()), media_type="application/octet-stream")


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(os.environ["PORT"]), log_level="error", http="httptools", loop="uvloop"
    )
