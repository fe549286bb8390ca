"""A server of somebody else's that remembers what it was asked: `origin.py SERVER PORT`.

Each request but `GET /-/log` is remembered as its method, its path with the query, and its body in hexadecimal. The log
gives them as JSON, and forgets them.
"""

import json
import sys
import threading

SEEN = []
LOCK = threading.Lock()


def answer(method, target, body):
    """The text to answer with."""
    with LOCK:
        if target == "/-/log":
            text = json.dumps(SEEN)
            SEEN.clear()
            return text
        SEEN.append([method, target, body.hex()])
        return "ok"


def wsgi(environ, start):
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
    source = environ["wsgi.input"]
    # What a WSGI server of a chunked request gives is the end of its input; otherwise the length is what it says.
    body = source.read() if chunked else source.read(int(length or 0))
    trailer = getattr(source, "read_trailer_lines", None) or getattr(getattr(source, "rfile", None), "read_trailer_lines", None)
    if chunked and trailer:
        list(trailer())  # Cheroot leaves it to its applications to read to the very end
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is None:
        query = environ.get("QUERY_STRING")
        target = environ.get("PATH_INFO", "") + ("?" + query if query else "")
    text = answer(environ["REQUEST_METHOD"], target, body).encode()
    start("200 OK", [("content-type", "text/plain"), ("content-length", str(len(text)))])
    return [text]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body, more = body + event.get("body", b""), event.get("more_body", False)
    query = scope["query_string"].decode("latin-1")
    target = scope["raw_path"].decode("latin-1").split("?")[0] + ("?" + query if query else "")
    text = answer(scope["method"], target, body).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def gunicorn(port):
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            settings = {"bind": f"127.0.0.1:{port}", "workers": 1, "threads": 4, "worker_class": "gthread",
                        "keepalive": 30, "loglevel": "critical", "limit_request_line": 8190}
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self):
            return wsgi

    Application().run()


def waitress(port):
    import waitress as server
    server.serve(wsgi, host="127.0.0.1", port=port, threads=4, _quiet=True)


def cheroot(port):
    from cheroot import wsgi as server
    server.Server(("127.0.0.1", port), wsgi, numthreads=8).start()


def hypercorn(port):
    import asyncio
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    config = Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "critical"
    asyncio.run(serve(asgi, config))


def aiohttp(port):
    from aiohttp import web

    async def handle(request):
        text = answer(request.method, request.raw_path, await request.read())
        return web.Response(text=text)

    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{rest:.*}", handle)
    web.run_app(application, host="127.0.0.1", port=port, print=None)


def tornado(port):
    import asyncio
    from tornado import httpserver
    from tornado.httputil import HTTPHeaders, ResponseStartLine

    async def main():
        def handle(request):
            text = answer(request.method, request.uri, request.body).encode()
            headers = HTTPHeaders({"content-length": str(len(text))})
            body = b"" if request.method == "HEAD" else text
            request.connection.write_headers(ResponseStartLine("", 200, "OK"), headers, body)
            request.connection.finish()

        httpserver.HTTPServer(handle).listen(port, address="127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


SERVERS = {"gunicorn": gunicorn, "waitress": waitress, "cheroot": cheroot, "hypercorn": hypercorn,
           "aiohttp": aiohttp, "tornado": tornado}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
