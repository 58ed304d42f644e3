"""Reads JSON-RPC messages as Python does, and says what each calls and on what.

Reads a list of base64 texts; writes, for each, [method, name] or why it cannot be read.
"""

import base64
import json
import sys


def main() -> None:
    verdicts = []
    for body in json.load(sys.stdin):
        try:
            message = json.loads(base64.b64decode(body))
            params = message.get("params") or {}
            method = message.get("method")
            verdicts.append({"read": [told(method), told(name(method, params))]})
        # Whatever it stumbles over, it has not read.
        except Exception as error:
            verdicts.append({"refused": f"{type(error).__name__}: {error}"})
    json.dump(verdicts, sys.stdout)


def name(method: str | None, params: dict) -> str | None:
    if method in ("tools/call", "prompts/get"):
        return params["name"]
    if method in ("resources/read", "resources/subscribe", "resources/unsubscribe"):
        return params["uri"]
    return None


def told(text: str | None) -> str | None:
    """Half a character, which nobody else could read, becomes a question mark."""
    return text if text is None else text.encode("utf-8", "replace").decode()


main()
