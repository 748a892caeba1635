//! The integration tests, one binary: each module is a subject, tried from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod attest;
mod bombs;
mod canary;
mod cli;
mod config;
mod corpus;
mod faults;
mod fidelity;
mod fuzzed;
mod generators;
mod growth;
mod injections;
mod keys;
mod kill;
mod leaks;
mod llama;
mod load;
mod mcp;
mod open_webui;
mod openai;
mod openapi;
mod qdrant;
mod rest_answers;
mod rest_collections;
mod rest_documents;
mod rest_doors;
mod rest_members;
mod rest_search;
mod rest_texts;
mod speech;
mod spine;
mod support;
mod tasks;
mod tidy;
