"""From the gateway's filters to the retriever's protos. Converts only."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from sluice.retriever.v1 import retriever_pb2
from sluice_api import filtering


def filter_message(content: filtering.Filter) -> retriever_pb2.Filter:
    """A filter as a message."""
    return retriever_pb2.Filter(
        must=[_condition(condition) for condition in content.must],
        should=[_condition(condition) for condition in content.should],
        must_not=[_condition(condition) for condition in content.must_not],
    )


def _condition(content: filtering.Condition) -> retriever_pb2.Condition:
    message = _unplaced(content)
    message.path = content.path
    return message


def _unplaced(content: filtering.Condition) -> retriever_pb2.Condition:
    match content:
        case filtering.Match(field=field):
            values = [_value(value) for value in content.any_of]
            return retriever_pb2.Condition(match=retriever_pb2.Match(field=field, any_of=values))
        case filtering.Range(field=field):
            return retriever_pb2.Condition(
                range=retriever_pb2.Range(field=field, **filtering.bounds(content))
            )
        case filtering.DatetimeRange(field=field):
            times = {name: _timestamp(moment) for name, moment in filtering.bounds(content).items()}
            return retriever_pb2.Condition(datetime_range=retriever_pb2.DatetimeRange(field=field, **times))
        case filtering.GeoRadius(field=field):
            circle = retriever_pb2.GeoRadius(
                field=field, center=_point(content.center), radius=content.radius
            )
            return retriever_pb2.Condition(geo_radius=circle)
        case filtering.GeoBox(field=field):
            corners = {"top_left": _point(content.top_left), "bottom_right": _point(content.bottom_right)}
            return retriever_pb2.Condition(geo_box=retriever_pb2.GeoBox(field=field, **corners))
        case filtering.Words(field=field):
            return retriever_pb2.Condition(words=retriever_pb2.Words(field=field, text=content.text))
        case filtering.Empty(field=field):
            return retriever_pb2.Condition(empty=retriever_pb2.Empty(field=field))
        case filtering.Filter():
            return retriever_pb2.Condition(filter=filter_message(content))


def _value(value: filtering.Scalar) -> retriever_pb2.Value:
    if isinstance(value, bool):
        return retriever_pb2.Value(bool_value=value)
    if isinstance(value, int):
        return retriever_pb2.Value(int_value=value)
    return retriever_pb2.Value(string_value=value)


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def _point(point: filtering.Point) -> retriever_pb2.GeoPoint:
    return retriever_pb2.GeoPoint(lat=point.lat, lon=point.lon)
