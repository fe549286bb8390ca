"""Sends a mail for each order: a program in another language, with nothing but its standard library.

It speaks to its sidecar as any Dapr application does. The sidecar asks it `GET /dapr/subscribe`, then POSTs each event to
the route that it named; an answer of 200 acknowledges. It announces each mail on the topic `mails` by a POST to the
sidecar, and it counts an order once however often it is delivered, by the event's id.
"""

import collections
import http.server
import json
import os
import signal
import sys
import threading
import urllib.request

SIDECAR = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}"
KEPT_MAX = 10_000

mails = collections.OrderedDict()
lock = threading.Lock()


def publish(topic, data, traceparent):
    """Publishes through the sidecar; returns once the event is durable."""
    request = urllib.request.Request(
        f"{SIDECAR}/v1.0/publish/pubsub/{topic}",
        json.dumps(data).encode(),
        {"content-type": "application/json", **({"traceparent": traceparent} if traceparent else {})},
    )
    urllib.request.urlopen(request, timeout=10).close()


class Mailer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/dapr/subscribe":
            self.answer(200, [{"pubsubname": "pubsub", "topic": "orders", "route": "/on-order"}])
        elif self.path == "/mails":
            with lock:
                self.answer(200, {"sent": len(mails), "last": list(mails.values())[-10:]})
        elif self.path == "/healthz":
            self.answer(200, {})
        else:
            self.answer(404, {"error": "there is no such page"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/on-order":
            self.answer(404, {"error": "there is no such page"})
            return
        event = json.loads(body)
        order = event["data"]
        mail = {"order": order["id"], "text": f"Thank you for {order['quantity']} x {order['sku']}"}
        with lock:
            new = event["id"] not in mails
        if new:
            publish("mails", mail, event.get("traceparent"))
            with lock:
                mails[event["id"]] = mail
                while len(mails) > KEPT_MAX:
                    mails.popitem(last=False)
        self.answer(200, {"status": "SUCCESS"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # the gateway and the sidecar log each request


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Mailer)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
