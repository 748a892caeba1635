"""Asks as a user of OpenAI's SDK does, and writes what it got as one JSON object.

Arguments: the base URL, the API key, a collection that the key reads, one that it does not, and a question.
"""

import base64
import json
import math
import struct
import sys

from openai import APIStatusError, OpenAI

url, key, own, other, question = sys.argv[1:6]
client = OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)
messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": question}]
model = f"strongroom/{own}"


def refusal(ask):
    try:
        ask()
    except APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code, "param": error.param}
    return None


def tokens(usage):
    return [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]


def chat(model):
    return client.chat.completions.create(model=model, messages=messages)


def embed(**more):
    return client.embeddings.create(model="strongroom-embed", **more)


whole = chat(model)
stream = {"content": "", "finish": None, "usage": None, "sources": []}
for chunk in client.chat.completions.create(
    model=model, messages=messages, stream=True, stream_options={"include_usage": True}
):
    if chunk.usage:
        stream["usage"] = tokens(chunk.usage)
    event = (chunk.model_extra or {}).get("event")
    if event and event["type"] == "source":
        stream["sources"].append(event["data"])
    for choice in chunk.choices:
        stream["content"] += choice.delta.content or ""
        stream["finish"] = choice.finish_reason or stream["finish"]

floats = embed(input=[question, "rent"], encoding_format="float").data
# The SDK's own default is base64, which it decodes itself; asked for by name it is given as it comes.
decoded = embed(input=question).data[0].embedding
raw = embed(input=question, encoding_format="base64").data[0].embedding
raw = list(struct.unpack(f"<{len(floats[0].embedding)}f", base64.b64decode(raw)))
message = whole.choices[0].message
out = {
    "models": [entry.id for entry in client.models.list()],
    "model": client.models.retrieve(model).id,
    "chat": {
        "content": message.content,
        "finish": whole.choices[0].finish_reason,
        "usage": tokens(whole.usage),
        "annotations": [{"title": note.url_citation.title, "url": note.url_citation.url} for note in message.annotations],
        "quote": whole.model_extra["strongroom"]["citations"][0]["quote"],
    },
    "stream": stream,
    "embeddings": {
        "count": len(floats),
        "dimension": len(floats[0].embedding),
        "length": math.sqrt(sum(number * number for number in floats[0].embedding)),
        "base64_is_the_same": raw == list(decoded)
        and max(abs(a - b) for a, b in zip(raw, floats[0].embedding)) < 1e-6,
    },
    "errors": {
        "of_nobody": refusal(lambda: chat("strongroom/nobody")),
        "of_another": refusal(lambda: chat(f"strongroom/{other}")),
        "bad_key": refusal(lambda: client.with_options(api_key="sk-wrong").models.list()),
        "tokens": refusal(lambda: embed(input=[1, 2, 3])),
        "dimensions": refusal(lambda: embed(input="x", dimensions=3)),
    },
}
json.dump(out, sys.stdout)
