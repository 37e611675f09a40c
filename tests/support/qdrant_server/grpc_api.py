"""The gRPC services, from qdrant-client's own stubs."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from qdrant_client import grpc as q
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc

from support.qdrant_server.failures import BAD_INPUT, QdrantError
from support.qdrant_server.shards import Selector
from support.qdrant_server.state import PEER, State

#: Called before each request with its metadata; raises where a fault or a key forbids it.
Before = Callable[[dict[str, str]], Awaitable[None]]

#: Called before each operation of a batch with its number, and at the end.
BeforeOperation = Callable[[int], Awaitable[None]]

_TIME = 0.001


def _answers(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Awaitable[Any]]:
    @functools.wraps(method)
    async def answer(self: Any, request: Any, context: Any) -> Any:
        try:
            await self.before({item.key: item.value for item in _metadata(context)})
            result = method(self, request)
            return await result if inspect.isawaitable(result) else result
        except QdrantError as error:
            if error.retry_after is not None:
                context.set_trailing_metadata((("retry-after", str(error.retry_after)),))
            await context.abort(error.kind.code, error.text)
        except ValueError as error:  # what local mode refuses
            await context.abort(BAD_INPUT.code, f"{BAD_INPUT.prefix}{error}")

    return answer


def _metadata(context: Any) -> Sequence[Any]:
    return context.invocation_metadata() or ()


class Root(qdrant_pb2_grpc.QdrantServicer):
    def __init__(self, state: State, before: Before) -> None:
        self.state = state
        self.before = before

    @_answers
    def HealthCheck(self, request: Any) -> Any:
        return q.HealthCheckReply(title="qdrant - vector search engine", version=self.state.version)


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, state: State, before: Before) -> None:
        self.state = state
        self.before = before

    @_answers
    def Get(self, request: Any) -> Any:
        info = RestToGrpc.convert_collection_info(self.state.info(request.collection_name))
        return q.GetCollectionInfoResponse(result=info, time=_TIME)

    @_answers
    def List(self, request: Any) -> Any:
        described = [q.CollectionDescription(name=name) for name in sorted(self.state.collections)]
        return q.ListCollectionsResponse(collections=described, time=_TIME)

    @_answers
    def Create(self, request: Any) -> Any:
        config = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config)
            if request.HasField("sparse_vectors_config")
            else None,
            sharding_method=GrpcToRest.convert_sharding_method(request.sharding_method)
            if request.HasField("sharding_method")
            else None,
            shard_number=request.shard_number if request.HasField("shard_number") else None,
            replication_factor=request.replication_factor if request.HasField("replication_factor") else None,
            metadata=GrpcToRest.convert_payload(request.metadata) or None,
        )
        return self._done(self.state.create(request.collection_name, config))

    @_answers
    def Delete(self, request: Any) -> Any:
        return self._done(self.state.drop(request.collection_name))

    @_answers
    def CollectionExists(self, request: Any) -> Any:
        name = self.state.aliases.get(request.collection_name, request.collection_name)
        exists = q.CollectionExists(exists=name in self.state.collections)
        return q.CollectionExistsResponse(result=exists, time=_TIME)

    @_answers
    def UpdateAliases(self, request: Any) -> Any:
        operations = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        return self._done(self.state.change_aliases(operations))

    @_answers
    def ListAliases(self, request: Any) -> Any:
        aliases = [
            q.AliasDescription(alias_name=alias, collection_name=name)
            for alias, name in self.state.aliases.items()
        ]
        return q.ListAliasesResponse(aliases=aliases, time=_TIME)

    @_answers
    def CreateShardKey(self, request: Any) -> Any:
        asked = GrpcToRest.convert_create_shard_key(request.request)
        done = self.state.create_key(request.collection_name, str(asked.shard_key), asked.initial_state)
        return q.CreateShardKeyResponse(result=done, time=_TIME)

    @_answers
    def DeleteShardKey(self, request: Any) -> Any:
        key = str(GrpcToRest.convert_shard_key(request.request.shard_key))
        return q.DeleteShardKeyResponse(result=self.state.drop_key(request.collection_name, key), time=_TIME)

    @_answers
    def ListShardKeys(self, request: Any) -> Any:
        keys = [
            q.ShardKeyDescription(key=RestToGrpc.convert_shard_key(key))
            for key in self.state.keys(request.collection_name)
        ]
        return q.ListShardKeysResponse(shard_keys=keys, time=_TIME)

    @_answers
    def CollectionClusterInfo(self, request: Any) -> Any:
        collection = self.state.collection(request.collection_name)
        local = [
            q.LocalShardInfo(
                shard_id=shard.number,
                shard_key=None if shard.key is None else RestToGrpc.convert_shard_key(shard.key),
                state=RestToGrpc.convert_replica_state(shard.state),
            )
            for shard in collection.shards.values()
        ]
        return q.CollectionClusterInfoResponse(peer_id=PEER, shard_count=len(local), local_shards=local)

    @staticmethod
    def _done(result: bool) -> Any:
        return q.CollectionOperationResponse(result=result, time=_TIME)


class Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, state: State, before: Before, before_operation: BeforeOperation) -> None:
        self.state = state
        self.before = before
        self.before_operation = before_operation

    @_answers
    def CreateFieldIndex(self, request: Any) -> Any:
        if request.HasField("field_index_params"):
            params: Any = GrpcToRest.convert_payload_schema_params(request.field_index_params)
        else:
            kind = q.FieldType.Name(request.field_type).removeprefix("FieldType")
            params = models.PayloadSchemaType(kind.lower())
        return self._done(self.state.index(request.collection_name, request.field_name, params))

    @_answers
    def Upsert(self, request: Any) -> Any:
        return self._done(self._upsert(request.collection_name, request))

    @_answers
    def Delete(self, request: Any) -> Any:
        points = GrpcToRest.convert_points_selector(request.points)
        return self._done(self.state.delete(request.collection_name, points, _selector(request)))

    @_answers
    def SetPayload(self, request: Any) -> Any:
        return self._done(self._set_payload(request.collection_name, request))

    @_answers
    def DeletePayload(self, request: Any) -> Any:
        return self._done(self._delete_payload(request.collection_name, request))

    @_answers
    async def UpdateBatch(self, request: Any) -> Any:
        name, results = request.collection_name, []
        for number, operation in enumerate(request.operations):
            await self.before_operation(number)
            kind = operation.WhichOneof("operation")
            asked = getattr(operation, kind)
            match kind:
                case "upsert":
                    result = self._upsert(name, asked)
                case "set_payload":
                    result = self._set_payload(name, asked)
                case "delete_payload":
                    result = self._delete_payload(name, asked)
                case "delete_points":
                    points = GrpcToRest.convert_points_selector(asked.points)
                    result = self.state.delete(name, points, _selector(asked))
                case _:
                    raise NotImplementedError(kind)
            results.append(RestToGrpc.convert_update_result(result))
        await self.before_operation(len(results))
        return q.UpdateBatchResponse(result=results, time=_TIME)

    @_answers
    def QueryBatch(self, request: Any) -> Any:
        results = []
        for asked in request.query_points:
            found = self.state.query(request.collection_name, GrpcToRest.convert_query_points(asked))
            points = [RestToGrpc.convert_scored_point(point) for point in found]
            results.append(q.BatchResult(result=points))
        return q.QueryBatchResponse(result=results, time=_TIME)

    @_answers
    def Get(self, request: Any) -> Any:
        found = self.state.retrieve(
            request.collection_name,
            [GrpcToRest.convert_point_id(id_) for id_ in request.ids],
            GrpcToRest.convert_with_payload_interface(request.with_payload),
            _vectors(request),
            _selector(request),
        )
        return q.GetResponse(result=[_record(point) for point in found], time=_TIME)

    @_answers
    def Scroll(self, request: Any) -> Any:
        found, following = self.state.scroll(
            request.collection_name,
            _filter(request),
            request.limit,
            GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            GrpcToRest.convert_with_payload_interface(request.with_payload),
            _vectors(request),
            _selector(request),
        )
        offset = None if following is None else RestToGrpc.convert_extended_point_id(following)
        result = [_record(point) for point in found]
        return q.ScrollResponse(result=result, next_page_offset=offset, time=_TIME)

    @_answers
    def Count(self, request: Any) -> Any:
        count = self.state.count(request.collection_name, _filter(request), _selector(request))
        return q.CountResponse(result=q.CountResult(count=count), time=_TIME)

    @_answers
    def Facet(self, request: Any) -> Any:
        limit = request.limit if request.HasField("limit") else 10
        hits = self.state.facet(
            request.collection_name, request.key, _filter(request), limit, _selector(request)
        )
        return q.FacetResponse(hits=[RestToGrpc.convert_facet_value_hit(hit) for hit in hits], time=_TIME)

    def _upsert(self, name: str, asked: Any) -> models.UpdateResult:
        return self.state.upsert(
            name,
            [GrpcToRest.convert_point_struct(point) for point in asked.points],
            _selector(asked),
            GrpcToRest.convert_filter(asked.update_filter) if asked.HasField("update_filter") else None,
            GrpcToRest.convert_update_mode(asked.update_mode) if asked.HasField("update_mode") else None,
        )

    def _set_payload(self, name: str, asked: Any) -> models.UpdateResult:
        return self.state.set_payload(
            name,
            GrpcToRest.convert_payload(asked.payload),
            GrpcToRest.convert_points_selector(asked.points_selector),
            _selector(asked),
        )

    def _delete_payload(self, name: str, asked: Any) -> models.UpdateResult:
        points = GrpcToRest.convert_points_selector(asked.points_selector)
        return self.state.delete_payload(name, list(asked.keys), points, _selector(asked))

    @staticmethod
    def _done(result: models.UpdateResult) -> Any:
        return q.PointsOperationResponse(result=RestToGrpc.convert_update_result(result), time=_TIME)


def _selector(request: Any) -> Selector:
    if not request.HasField("shard_key_selector"):
        return None
    return GrpcToRest.convert_shard_key_selector(request.shard_key_selector)


def _filter(request: Any) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _vectors(request: Any) -> Any:
    if not request.HasField("with_vectors"):
        return False
    return GrpcToRest.convert_with_vectors_selector(request.with_vectors)


def _record(point: models.Record) -> Any:
    return RestToGrpc.convert_record(point.model_copy(update={"payload": point.payload or {}}))
