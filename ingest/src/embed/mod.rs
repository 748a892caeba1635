//! Text to vectors: ONNX Runtime sessions, each owned by one thread, fed by bounded queues.
