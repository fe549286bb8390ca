"""The catalogue that the shop had before: SOAP, Latin-1, dates with dots, prices with a comma, and `J` for yes.

Nobody dares to change it. It answers `POST /catalogue` with SOAP 1.1, and, to whoever was built for it later, `GET /prices/SKU`
and `GET /articles` with JSON of its own kind.
"""

import http.server
import json
import os
import re
import signal
import sys
import threading
import xml.etree.ElementTree as tree
from xml.sax.saxutils import escape

ARTICLES = {
    "lamp": {"name": 'Lampe "Größe M"', "price": "1.049,50", "left": "J", "since": "31.01.2024"},
    "chair": {"name": "Café-Stuhl", "price": "89,00", "left": "J", "since": "03.11.2019"},
    "table": {"name": "Tisch Übergröße", "price": "412,90", "left": "N", "since": "24.12.1999"},
}
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
OWN = "urn:legacy:catalogue"


def soap(body):
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{body}</s:Body></s:Envelope>'
    return text.encode("latin-1")


def article(code):
    """One article as it has always been: an attribute here, an element there, and nothing where it is sold out."""
    found = ARTICLES.get(code)
    if found is None:
        return 500, soap(
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>Artikel nicht gefunden</faultstring>"
            f'<detail><l:Error xmlns:l="{OWN}" Nr="4711"/></detail></s:Fault>'
        )
    quantity = "" if found["left"] == "N" else "<l:Menge>250</l:Menge>"
    return 200, soap(
        f'<l:ArtikelAntwort xmlns:l="{OWN}"><l:Artikel Nr="{escape(code)}" Lieferbar="{found["left"]}">'
        f"<l:Bezeichnung>{escape(found['name'])}</l:Bezeichnung><l:Preis>{found['price']}</l:Preis>{quantity}"
        f"<l:Seit>{found['since']}</l:Seit></l:Artikel></l:ArtikelAntwort>"
    )


class Legacy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        price = re.fullmatch(r"/prices/([^/?]+)", self.path)
        if self.path == "/healthz":
            self.answer(200, b"{}")
        elif self.path == "/articles":
            self.answer(200, json.dumps([{"nr": code, **article} for code, article in ARTICLES.items()]).encode())
        elif price and price[1] in ARTICLES:
            self.answer(200, json.dumps({"nr": price[1], "preis": ARTICLES[price[1]]["price"]}).encode())
        else:
            self.answer(404, b'{"fehler": 4711}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/catalogue":
            self.answer(404, b'{"fehler": 404}')
            return
        try:
            code = tree.fromstring(body).find(f".//{{{OWN}}}Nr").text
            status, document = article(code)
        except (tree.ParseError, AttributeError):
            status, document = 500, soap("<s:Fault><faultcode>s:Client</faultcode><faultstring>?</faultstring></s:Fault>")
        self.answer(status, document, "text/xml; charset=ISO-8859-1")

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # the gateway logs each request


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Legacy)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
