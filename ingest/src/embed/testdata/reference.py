"""Computes `reference.f32` from `reference.json`: a BERT forward pass in float64 NumPy, independent of ONNX Runtime.

    python3 reference.py MODEL_FOLDER      (a folder with model.safetensors and tokenizer.json of all-MiniLM-L6-v2)

Needs numpy, safetensors and tokenizers. Texts are cut at 256 word pieces, as the model's authors do.
"""
import json, math, pathlib, sys
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

here, folder = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])
w = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items() if v.dtype.kind == "f"}
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_truncation(); tokenizer.no_padding()
erf = np.vectorize(math.erf)


def norm(x, name):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-12) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def embed(text):
    ids = tokenizer.encode(text).ids
    if len(ids) > 256:
        ids = ids[:255] + ids[-1:]
    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][: len(ids)] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x, e + "LayerNorm")
    for layer in range(6):
        p = f"encoder.layer.{layer}."
        heads = [linear(x, p + "attention.self." + n).reshape(len(ids), 12, 32).transpose(1, 0, 2) for n in ("query", "key", "value")]
        scores = heads[0] @ heads[1].transpose(0, 2, 1) / math.sqrt(32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ heads[2]).transpose(1, 0, 2).reshape(len(ids), 384)
        x = norm(x + linear(mixed, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        h = linear(x, p + "intermediate.dense")
        h = 0.5 * h * (1 + erf(h / math.sqrt(2)))
        x = norm(x + linear(h, p + "output.dense"), p + "output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled), len(ids)


vectors = []
for text in json.loads((here / "reference.json").read_text()):
    vector, length = embed(text)
    vectors.append(vector)
    print(length, text[:60].encode("unicode_escape").decode())
np.array(vectors).astype("<f4").tofile(here / "reference.f32")
