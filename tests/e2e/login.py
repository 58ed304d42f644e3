"""The browser of the Python client, for a client that has none: signs in at one address.

Prints where it was sent back to.
"""

import ssl
import sys

import anyio
from client import Browser

browser = Browser(ssl.create_default_context())
anyio.run(browser.open, sys.argv[1])
print(browser.callback)
