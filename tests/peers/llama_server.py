"""Runs llama.cpp's own HTTP server: `llama_server.py MODEL [SETTINGS]`, where SETTINGS is a JSON object of its parameters.

It listens on a free port of this machine, writes the port as its first line, and serves until it is killed.
"""

import json
import sys
import time

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.model_alias = {"tiny"}
parameters.cpuparams.n_threads = 1
parameters.cpuparams_batch.n_threads = 1
for name, value in json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}").items():
    getattr(parameters, name)  # A misspelt one is an error.
    setattr(parameters, name, value)
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
while True:
    time.sleep(3600)
