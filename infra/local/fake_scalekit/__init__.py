"""A strict fake Scalekit on loopback: its REST API, its pages, and MCP behind its URLs.

Paths, fields and limits are those of the descriptors in Scalekit's own SDK (`gateway`): a request
is routed by `google.api.http`, parsed by the method's message and held to its `buf.validate`
rules, and an answer is built as the method's message. Runs in an environment of its own
(`.local/venv-scalekit`) with `functions` on the path; `seed` says which credentials and
connections there are. The provider behind the connections is the fake Google.

    POST /oauth/token                         client credentials
    GET  /keys                                JWKS of everything that is signed here
    /api/v1/mcp/configs                       list, create, get, update, delete
    /api/v1/mcp/configs/{id}/connected_accounts, …/tokens
    /api/v1/mcp/connections/{name}/tokens
    /api/v1/mcp/instances                     ensure, list, get, update, delete, :get_auth_state
    /api/v1/connected_accounts                list, create, details, :delete, {id}:disconnect
    /api/v1/connected_accounts/magic_link, …/user/verify
    /api/v1/tools, /api/v1/tools:search, /api/v1/execute_tool
    /api/v1/connections/app, /api/v1/connections/{id}
    GET  /magicLink/{token}                   a link, to the provider and back to
    GET  /sso/v1/oauth/{connection}/callback
    /mcp/v2/servers/{uuid}                    an instance: the URL alone
    /mcp/v3/servers/{uuid}, /mcp/v3/connections/{name}    with a session token

Any other method of the descriptors answers 501. Tests steer it under `/_test/`:

    POST config      {"clock_skew": 61, "verify_mode": "USER_VERIFY_MODE_NONE",
                      "server_urls": false, "api_token_life": 3600, "link_life": 60,
                      "fail": [{"path": "/mcp/configs", "status": 503, "method": "POST",
                                "times": 1, "after": true, "retry_after": 2}]}
    POST connection  {"name": "MY_GMAIL_2", "provider": "GMAIL", "enabled": true}
    POST account     {"connection": "MY_GMAIL", "identifier": "u1", "status": "EXPIRED"}
    POST expire      every access token of the API is over
    POST reset       back to the seed
    GET  state       everything, tokens included      GET routes   the bindings that are served
    GET  log         every request; DELETE forgets them

Where Scalekit's documentation is silent or contradicts itself, this is what the fake does, and only
a live environment can tell:

- Unknown JSON fields and query parameters are refused. (grpc-gateway would ignore them.)
- Fields without a value are in an answer: `""`, `[]`, `false`. Empty messages are left out.
- A second config of a name: 409, `DUPLICATE_IDENTIFIER`.
- A mapping with an unknown or disabled connection or an unknown tool: 400, `INVALID_ARGUMENT`.
- An update leaves what is empty in it as it was: the messages have no presence.
- `ensure_instance` of an unknown config: 400. An instance is named like its config unless told
  otherwise; another name makes another instance.
- A magic link for an identifier without an account makes one. A link lives 60 seconds, works once,
  and opening it puts the account into `PENDING_AUTH`, whatever it was before.
- A verification is waited for 10 minutes; repeated it is 404; a wrong identifier does not end it.
- Failures at the provider or in the exchange end on a page of Scalekit's: the app is not told.
- Deleting or disconnecting an account revokes nothing at the provider.
- A tool for an account that is not active: 400, `FAILED_PRECONDITION`; over MCP, `isError`. What
  the provider refuses with 401, 403 or 429 has that status and `TOOL_ERROR`, all else 500.
- A session token's access level is the claim `access_level`. Accounts are not looked at again once
  it is issued: one that ends later fails call by call.
- Google Calendar's provider key is `GOOGLECALENDAR`. The tools, their schemas and results are our
  own connectors', under the names of Scalekit's published catalogue.
"""
