"""Services and clients of gRPC and WebSockets, by the libraries that their users have."""

import asyncio
import sys
from concurrent import futures

import grpc
import websockets

METHODS = {
    # One message to one; several to one; one to several; several to several.
    "double": ("unary_unary", lambda request, _: request * 2),
    "join": ("stream_unary", lambda requests, _: b"+".join(requests)),
    "spell": ("unary_stream", lambda request, _: (request[at : at + 1] for at in range(len(request)))),
    "echo": ("stream_stream", lambda requests, _: (request.upper() for request in requests)),
    "fail": ("unary_unary", lambda _, context: context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not 100% yet")),
}


def handler(kind, answer):
    return getattr(grpc, f"{kind}_rpc_method_handler")(answer)


async def chat(socket):
    async for message in socket:
        await socket.send(message[::-1])


async def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    handlers = {name: handler(kind, answer) for name, (kind, answer) in METHODS.items()}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", handlers)])
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    async with websockets.serve(chat, "127.0.0.1", 0) as sockets:
        print("LISTENS", grpc_port, sockets.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


def call(address):
    with grpc.insecure_channel(address) as channel:
        assert channel.unary_unary("/Test/double")(b"ab", timeout=10) == b"abab"
        assert channel.stream_unary("/Test/join")(iter([b"a", b"b"]), timeout=10) == b"a+b"
        assert list(channel.unary_stream("/Test/spell")(b"abc", timeout=10)) == [b"a", b"b", b"c"]
        assert list(channel.stream_stream("/Test/echo")(iter([b"a", b"b"]), timeout=10)) == [b"A", b"B"]
        large = bytes(range(256)) * 8000
        assert channel.unary_unary("/Test/double")(large, timeout=10) == large * 2
        for way, code, text in [
            ("/Test/fail", grpc.StatusCode.FAILED_PRECONDITION, "not 100% yet"),
            ("/Test/none", grpc.StatusCode.UNIMPLEMENTED, "Method not found!"),
            ("/Away/any", grpc.StatusCode.UNAVAILABLE, "the service did not give an answer that can be passed on"),
        ]:
            try:
                channel.unary_unary(way)(b"", timeout=10)
                raise AssertionError(f"{way} did not fail")
            except grpc.RpcError as error:
                assert (error.code(), error.details()) == (code, text), (way, error.code(), error.details())
    print("CALLED", flush=True)


async def talk(address):
    async with websockets.connect(f"ws://{address}/chat", max_size=None) as socket:
        for message in ["hello", "x" * 300_000 + "y", b"\x00\x01\x02"]:
            await socket.send(message)
            assert await socket.recv() == message[::-1]
        await (await socket.ping())
    assert socket.close_code == 1000, socket.close_code
    print("TALKED", flush=True)


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "serve":
        asyncio.run(serve())
    call(*rest)
    asyncio.run(talk(*rest))
