"""HTTP/2 (RFC 9113) for a server on asyncio: frames, streams and what bounds them.

Nothing here knows gRPC. `Connection` reads frames and gives every request to a `Service` as a
`Stream`. Why there is one, beside grpc.aio and h2: docs/serve.md.
"""
