"""A second opinion on tokens: PyJWT with the gateway's rules, used as its manual says.

Reads {"keys", "issuer", "audience", "leeway", "tokens"} and writes, for each token, the subject of
one that it accepts or the reason why it does not.
"""

import json
import sys

import jwt


def main() -> None:
    task = json.load(sys.stdin)
    keys = jwt.PyJWKSet.from_dict(task["keys"]).keys
    verdicts = []
    for token in task["tokens"]:
        try:
            verdicts.append({"subject": judge(token, keys, task).get("sub")})
        # Whatever it stumbles over, it has not accepted.
        except Exception as error:
            verdicts.append({"refused": f"{type(error).__name__}: {error}"})
    json.dump(verdicts, sys.stdout)


def judge(token: str, keys: list[jwt.PyJWK], task: dict) -> dict:
    name = jwt.get_unverified_header(token).get("kid")
    candidates = [key for key in keys if name is None or key.key_id == name]
    if not candidates:
        raise LookupError(f"no key {name!r}")
    for key in candidates:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=task["issuer"],
                audience=task["audience"],
                leeway=task["leeway"],
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
            refused = error
    raise refused


main()
