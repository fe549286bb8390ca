"""A worker and a sender in another language, with nothing but its standard library and the API's paths."""

import http.client
import json
import os
import sys


class Api:
    def __init__(self, address):
        self.address = address

    def post(self, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        text = "" if body is None else json.dumps(body)
        headers = {"content-type": "application/json", **(headers or {})}
        connection.request("POST", "/dozen/v1" + path, text, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or "null")
        assert response.status < 300, (response.status, answer)
        return answer

    def receive(self, queue, **query):
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return self.post(f"/queues/{queue}/receive?{asked}")["messages"]


def main(address, role):
    api = Api(address)
    if role == "send":
        sent = api.post("/queues/invoices/messages?type=invoice.wanted", {"order": 7})
        print("SENT", sent["ids"][0], flush=True)
    elif role == "crash":
        [message] = api.receive("invoices", max=1, wait="20s", lease="300ms")
        print("GOT", message["message"]["id"], message["attempts"], flush=True)
        os._exit(3)  # no acknowledgement, no goodbye
    elif role == "work":
        [message] = api.receive("invoices", max=1, wait="20s")
        print("GOT", message["message"]["id"], message["attempts"], flush=True)
        reply = {"invoice": message["message"]["data"]["order"]}
        results = api.post("/queues/invoices/ack", {"lease": message["lease"], "reply": reply})["results"]
        print("DONE", results[0]["ok"], flush=True)


main(*sys.argv[1:])
