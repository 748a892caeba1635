"""Reads a collection as a user of qdrant-client does, and writes what it got as one JSON object.

Arguments: the façade's URL, the API key (may be empty), the collection, and the query's vector as JSON.
"""

import json
import sys

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

url, key, collection, vector = sys.argv[1], sys.argv[2] or None, sys.argv[3], json.loads(sys.argv[4])
client = QdrantClient(url=url, api_key=key, prefer_grpc=False, timeout=60)


def point(found):
    return {"id": found.id, "version": found.version, "score": found.score, "payload": found.payload}


def refusal(ask):
    try:
        ask()
    except UnexpectedResponse as error:
        return {"status": error.status_code, "body": json.loads(error.content)}
    return None


def path_is(path):
    return models.Filter(must=[models.FieldCondition(key="metadata.path", match=models.MatchValue(value=path))])


first = client.query_points(collection, query=vector, limit=5, with_payload=True).points
info = client.get_collection(collection)
out = {
    "version": client.info().version,
    "collections": [entry.name for entry in client.get_collections().collections],
    "exists": [client.collection_exists(collection), client.collection_exists("nobody")],
    "info": {"status": str(info.status), "points": info.points_count, "size": info.config.params.vectors.size},
    "count": client.count(collection).count,
    "points": [point(found) for found in first],
    "second": [point(found) for found in client.query_points(collection, query=vector, limit=1, offset=1, with_payload=True).points],
    "bare": [found.payload for found in client.query_points(collection, query=vector, limit=1, with_payload=False).points],
    "text_only": [found.payload for found in client.query_points(collection, query=vector, limit=1, with_payload=["text"]).points],
    "filtered": [
        point(found)
        for found in client.query_points(
            collection, query=vector, query_filter=path_is(first[-1].payload["metadata"]["path"]), with_payload=True
        ).points
    ],
    "above": len(client.query_points(collection, query=vector, limit=5, score_threshold=first[0].score).points),
    "batch": [
        [point(found) for found in answer.points]
        for answer in client.query_batch_points(
            collection,
            requests=[
                models.QueryRequest(query=vector, limit=1, with_payload=True),
                models.QueryRequest(query=vector, limit=2, with_payload=True),
            ],
        )
    ],
    "refused": {
        "missing": refusal(lambda: client.query_points("nobody", query=vector)),
        "dimension": refusal(lambda: client.query_points(collection, query=vector[:-1])),
        "vectors": refusal(lambda: client.query_points(collection, query=vector, with_vectors=True)),
        "scroll": refusal(lambda: client.scroll(collection)),
        "create": refusal(
            lambda: client.create_collection("new", vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
        ),
        "delete": refusal(lambda: client.delete_collection(collection)),
        "upsert": refusal(lambda: client.upsert(collection, points=[models.PointStruct(id=1, vector=vector, payload={})])),
        "delete_points": refusal(lambda: client.delete(collection, points_selector=[1])),
    },
}
json.dump(out, sys.stdout)
