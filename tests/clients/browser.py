"""A person's browser, for a client that signs in: python browser.py USER URL.

The person is known at the issuer and allows whatever they are asked.
"""

import sys

import httpx

if __name__ == "__main__":
    user, url = sys.argv[1:]
    with httpx.Client(follow_redirects=True, trust_env=False, timeout=20) as http:
        http.get(f"{url}&login_hint={user}").raise_for_status()
