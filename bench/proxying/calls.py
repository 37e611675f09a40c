"""The calls that a run makes, alone: what of the gateway's cost is gRPC's."""

import asyncio

import psutil

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice.inference.v1 import inference_pb2, inference_pb2_grpc
from sluice.reranker.v1 import reranker_pb2, reranker_pb2_grpc
from sluice.retriever.v1 import retriever_pb2, retriever_pb2_grpc
from sluice_servicekit.channels import open_channel


async def cpu_ms_of_calls(address: str, question: str, rate: float, count: int) -> float:
    """CPU milliseconds of this process for the seven calls of one run, one after the other, at a rate of runs."""
    async with open_channel(address) as channel:
        guard = guardrail_pb2_grpc.GuardrailServiceStub(channel)
        retriever = retriever_pb2_grpc.RetrieverServiceStub(channel)
        reranker = reranker_pb2_grpc.RerankerServiceStub(channel)
        inference = inference_pb2_grpc.InferenceServiceStub(channel)

        async def run() -> None:
            segment = guardrail_pb2.Segment(channel=guardrail_pb2.CHANNEL_USER, role="user", text=question)
            await guard.CheckInput(guardrail_pb2.CheckInputRequest(segments=[segment]))
            embedded = await retriever.Embed(retriever_pb2.EmbedRequest(text=question))
            vectors = embedded.question_vectors
            search = retriever_pb2.SearchRequest(query=question, question_vectors=vectors, top_k=50)
            found = (await retriever.Search(search)).passages
            ranking = reranker_pb2.RerankRequest(
                query=question, question_vectors=vectors, candidates=found, top_k=5
            )
            await reranker.Rerank(ranking)
            await guard.CheckPassages(guardrail_pb2.CheckPassagesRequest(passages=found))
            message = inference_pb2.Message(role="user", content=question)
            prompt = inference_pb2.GenerateRequest(
                messages=[message], passages=found, question_vectors=vectors
            )
            async for _ in inference.Generate(prompt):
                pass
            await guard.CheckOutput(guardrail_pb2.CheckOutputRequest(text=question, passages=found))

        for _ in range(50):
            await run()
        process = psutil.Process()
        before = sum(process.cpu_times()[:2])
        for _ in range(count):
            await run()
            await asyncio.sleep(1 / rate)
        return 1000 * (sum(process.cpu_times()[:2]) - before) / count
