"""A request to the provider, by the HTTP client that a stack's package comes with.

Ours and what is subtracted from it ask by httpx, and so do the SDKs, whose 2.x knows it as httpx2.
A handler that comes with neither uses the one that boto3 brings.
"""

import json

try:
    import httpx
except ImportError:
    try:
        import httpx2 as httpx
    except ImportError:
        httpx = None

if httpx:
    # The provider is plain HTTP here: no stack waits for roots that it does not need.
    _client = httpx.Client(verify=False, trust_env=False)

    def ask(url, headers):
        return _client.get(url, headers=headers).json()

else:
    import urllib3

    _pool = urllib3.PoolManager()

    def ask(url, headers):
        return json.loads(_pool.request("GET", url, headers=headers).data)
