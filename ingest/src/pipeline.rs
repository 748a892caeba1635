//! Wires the stages: watched folders and uploads in, searchable versions out.
