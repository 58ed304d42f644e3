"""Reads an exposition on stdin with Prometheus' own parser; prints each family's name and type."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps({family.name: family.type for family in families}))
