"""A speech server as OpenAI-compatible ones are, around the real recogniser pocketsphinx and the English model that it carries.

Arguments: the model's name, `fast` or `accurate`. Writes the port that it listens at as one line, then serves until it is ended. It reads
WAV files of 16-bit mono, which is what the tests speak.
"""

import array
import io
import json
import sys
import threading
import wave
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pocketsphinx import Decoder

NAME = sys.argv[1]
# The fast one looks at every second frame, and follows fewer paths.
LANE = {"ds": 2, "maxhmmpf": 3000, "maxwpf": 5} if NAME == "fast" else {}
FRAME = 0.02
LOUD = 100
# Silence of so many frames ends what is said before it.
PAUSE = 30

decoders = {}
turn = threading.Lock()


def decoder(rate):
    if rate not in decoders:
        decoders[rate] = Decoder(samprate=rate, nfft=1024 if rate > 16000 else 512, loglevel="FATAL", **LANE)
    return decoders[rate]


def stretches(samples, rate):
    """Where something is heard: first and last sample of each stretch between two silences."""
    step = int(rate * FRAME)
    begin, quiet = None, 0
    for at in range(0, len(samples), step):
        frame = samples[at : at + step]
        if sum(abs(sample) for sample in frame) > LOUD * len(frame):
            begin, quiet = at if begin is None else begin, 0
        elif begin is not None:
            quiet += 1
            if quiet == PAUSE:
                yield begin, at - (quiet - 1) * step
                begin, quiet = None, 0
    if begin is not None:
        yield begin, len(samples)


def transcribe(audio):
    with wave.open(io.BytesIO(audio)) as recording:
        if (recording.getnchannels(), recording.getsampwidth()) != (1, 2):
            raise wave.Error("only 16-bit mono is read")
        rate = recording.getframerate()
        samples = array.array("h", recording.readframes(recording.getnframes()))
    segments = []
    for begin, end in stretches(samples, rate):
        # A little silence around what is said helps the recogniser to begin and to end.
        margin = rate // 10
        piece = samples[max(0, begin - margin) : end + margin]
        listener = decoder(rate)
        listener.start_utt()
        listener.process_raw(piece.tobytes(), full_utt=True)
        listener.end_utt()
        heard = listener.hyp()
        if heard and heard.hypstr:
            segments.append({"id": len(segments), "start": begin / rate, "end": end / rate, "text": " " + heard.hypstr})
    text = " ".join(segment["text"].strip() for segment in segments)
    duration = len(samples) / rate
    return {"task": "transcribe", "language": "english", "duration": duration, "text": text, "segments": segments}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "pocketsphinx"}]})
        else:
            self.answer(404, {"error": {"message": "there is no such page"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = {part.get_param("name", header="content-disposition"): part for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()}
        if self.path != "/v1/audio/transcriptions" or form["model"].get_content().strip() != NAME:
            return self.answer(404, {"error": {"message": "there is no such model"}})
        try:
            with turn:
                said = transcribe(form["file"].get_payload(decode=True))
        except (wave.Error, EOFError) as error:
            return self.answer(400, {"error": {"message": str(error)}})
        verbose = form["response_format"].get_content().strip() == "verbose_json"
        self.answer(200, said if verbose else {"text": said["text"]})

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
