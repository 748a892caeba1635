"""Writes a language model of a third of a megabyte whose replies are known, for llama.cpp: `tiny_model.py FILE`.

The last character of a prompt decides the reply: `?` has it name the sign (one of SIGNS) that stands most often in the prompt,
with a citation; `.` has it say a sentence with a citation; `!` has it cite and then talk for ever. So it says what it was told
where that matters, and nothing else. Each reply is a chain of tokens that a table of successors spells; one attention head
finds the sign.
"""

import itertools
import string
import sys

import gguf
import numpy

SIGNS = "☀☂☃☄★☎☘☠"
REPLIES = {
    "?": ["The sign", " seen most", " is "],
    ".": ["The notice", " period", " is ninety", " days", " [1]."],
    "!": ["Again [1]", " and", " again,"],
}
HEAD = 32
# The prompt's last token is the last character of the last message.
TEMPLATE = "{% for message in messages %}{{ message.content }}{% if not loop.last %}\n{% endif %}{% endfor %}"


class Vocabulary:
    """The tokens, and for those that matter a place of their own in the model's width; all others share place 0."""

    def __init__(self):
        self.texts, self.types, self.places = [], [], {}
        self.add("<unk>", gguf.TokenType.UNKNOWN)
        self.add("<s>", gguf.TokenType.CONTROL)
        self.end = self.add("</s>", gguf.TokenType.CONTROL)
        for byte in range(256):
            self.add(f"<0x{byte:02X}>", gguf.TokenType.BYTE)
        for character in string.printable[:95]:
            self.add(character)
        # Pairs of letters, so that a text has about half as many tokens as characters.
        for first, second in itertools.product(" " + string.ascii_lowercase, string.ascii_lowercase):
            self.add(first + second)

    def add(self, text, kind=gguf.TokenType.NORMAL):
        self.texts.append(text.replace(" ", "▁"))
        self.types.append(kind)
        return len(self.texts) - 1

    def place(self, token):
        return self.places.setdefault(token, len(self.places) + 1)


def main(path):
    words = Vocabulary()
    signs = [words.add(sign) for sign in SIGNS]
    successors = {}
    for character, reply in REPLIES.items():
        # A step of a reply is a token of its own: no text of a prompt is cut into it, and no two replies meet.
        steps = [words.add(step) for step in reply]
        for before, after in itertools.pairwise([words.texts.index(character), *steps]):
            successors[before] = after
        if character == "!":
            successors[steps[-1]] = steps[1]
        elif character == "?":
            seeks, cites = steps[-1], words.add(" [1], as said")
            for sign in signs:
                successors[sign] = cites
            successors[cites] = words.end
        else:
            successors[steps[-1]] = words.end

    for token in [*successors, *signs, seeks]:
        words.place(token)
    # One place for each token that matters, and one more for each sign that was found.
    found = len(words.places) + 1
    width = (found + len(signs) + HEAD - 1) // HEAD * HEAD
    size = len(words.texts)
    embedding = numpy.zeros((size, width), numpy.float32)
    embedding[:, 0] = 1
    for token, place in words.places.items():
        embedding[token] = 0
        embedding[token, place] = 1
    output = numpy.zeros((size, width), numpy.float32)
    # Nobody asked: it has nothing to say.
    output[words.end, 0] = 10
    for before, after in successors.items():
        output[after, words.places[before]] = 10
    query, key, value, back = (numpy.zeros((width, width), numpy.float32) for _ in range(4))
    # The head's last pair of dimensions hardly turns with the position, so it finds a sign wherever that is.
    query[HEAD - 1, words.places[seeks]] = 10
    for number, sign in enumerate(signs):
        key[HEAD - 1, words.places[sign]] = 2
        value[number, words.places[sign]] = 1
        back[found + number, number] = 1
        output[sign, found + number] = 10
    if len(signs) > HEAD:
        raise SystemExit("more signs than the head has room for")

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(width // HEAD)
    writer.add_head_count_kv(width // HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(1e15)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words.texts)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types(words.types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(words.end)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    ones = numpy.ones(width, numpy.float32)
    nothing = numpy.zeros((32, width), numpy.float32)
    for name, tensor in {
        "token_embd": embedding,
        "output_norm": ones,
        "output": output,
        "blk.0.attn_norm": ones,
        "blk.0.attn_q": query,
        "blk.0.attn_k": key,
        "blk.0.attn_v": value,
        "blk.0.attn_output": back,
        "blk.0.ffn_norm": ones,
        "blk.0.ffn_gate": nothing,
        "blk.0.ffn_up": nothing,
        "blk.0.ffn_down": nothing.T.copy(),
    }.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(sys.argv[1])
