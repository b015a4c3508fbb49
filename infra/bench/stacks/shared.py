"""What the peers' servers share: the 20 tools, as functions, and the one thing that they do."""

import inspect
import json
import os

SCENE = json.loads(os.environ["BENCH_SCENE"])  # what the orchestrator knows and a peer needs
_HEADERS = {"Authorization": "Bearer example"}
_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list[str]}

if os.environ["BENCH_CLIENT"]:
    import boto3
    from botocore.config import Config
    from provider_client import ask

    # Set up as ours is, or what is subtracted for its request would be more than that costs us.
    _dynamodb = boto3.client(
        "dynamodb", config=Config(user_agent="bench", parameter_validation=False)
    )

    def look_up():
        _dynamodb.batch_get_item(**SCENE["dynamodb"])

    def work():
        """One read of DynamoDB and one request to the provider, as a tool call of ours makes."""
        look_up()
        return ask(SCENE["provider"], _HEADERS)

else:

    def look_up():
        """Nothing to look it up in."""

    def work():
        return {"threads": [], "resultSizeEstimate": 0}


def functions():
    """The tools as functions with the names, descriptions and arguments of ours."""
    for tool in SCENE["tools"]:
        schema = tool["inputSchema"]
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=_TYPES.get(about.get("type"), str),
                default=inspect.Parameter.empty if name in schema.get("required", ()) else None,
            )
            for name, about in schema["properties"].items()
        ]

        def run(**_):
            return json.dumps(work())

        run.__name__ = tool["name"]
        run.__doc__ = tool["description"]
        run.__signature__ = inspect.Signature(parameters, return_annotation=str)
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": str}
        yield run
