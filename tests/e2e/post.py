"""One POST over TLS, by Python's own client: a JSON line says what came of it.

The headers are read from standard input, as JSON. A certificate of the client's own is shown when
the server asks for one.
"""

import argparse
import json
import ssl
import sys
import urllib.error
import urllib.request
from http.client import HTTPMessage

TIMEOUT_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", required=True, help="PEM file, the only authority that is trusted")
    parser.add_argument("--body", required=True)
    parser.add_argument("--certificate", help="PEM file, the client's own chain")
    parser.add_argument("--key", help="PEM file, its key")
    arguments = parser.parse_args()
    trust = ssl.create_default_context(cafile=arguments.ca)
    if arguments.certificate:
        trust.load_cert_chain(arguments.certificate, arguments.key)
    request = urllib.request.Request(
        arguments.url, data=arguments.body.encode(), headers=json.load(sys.stdin)
    )
    # No proxies: everything here is on loopback.
    http = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    try:
        with http.open(request, timeout=TIMEOUT_SECONDS) as response:
            told = answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as refused:
        told = answer(refused.code, refused.headers, refused.read())
    except OSError as error:
        told = {"status": 0, "head": "", "body": str(error)}
    print(json.dumps(told))


def answer(status: int, headers: HTTPMessage, body: bytes) -> dict[str, object]:
    # The library keeps the status line to itself.
    head = f"{status}\n{headers}"
    return {"status": status, "head": head, "body": body.decode(errors="replace")}


main()
