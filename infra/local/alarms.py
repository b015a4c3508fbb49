"""Accepts alarms over metric math, which MiniStack's CloudFormation refuses to create.

Such an alarm is kept as a plain alarm on its first metric: the stack deploys and the alarm can be
looked at, but it does not add the metrics up.
"""

from typing import Any

from infra.local.httpapi_plan import Json
from infra.local.pins import pinned


def install() -> None:
    """Wrap the function that turns a template's alarm into a record."""
    provisioners = pinned(
        "ministack.services.cloudformation.provisioners", "_cw_metric_alarm_record"
    )
    original = provisioners._cw_metric_alarm_record

    def record(name: str, props: Json) -> Any:
        return original(name, plain(props))

    provisioners._cw_metric_alarm_record = record


def plain(props: Json) -> Json:
    """Put an alarm's first metric in the place of its metric math."""
    stats = [entry["MetricStat"] for entry in props.get("Metrics") or [] if "MetricStat" in entry]
    if not stats:
        return props
    metric, first = stats[0]["Metric"], stats[0]
    return {
        **{name: value for name, value in props.items() if name != "Metrics"},
        "Namespace": metric["Namespace"],
        "MetricName": metric["MetricName"],
        "Dimensions": metric.get("Dimensions") or [],
        "Period": first["Period"],
        "Statistic": first["Stat"],
    }
