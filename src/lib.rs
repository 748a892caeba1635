//! Strongroom: a question over one client's documents becomes an audited answer.
//!
//! The rooms: [`retrieve`] finds passages, [`answer`] grounds an answer in them, [`ask`] composes the two, [`speech`] has recordings
//! written down, [`http`] is the door, [`keys`] says who may ask, [`usage`] counts what models were asked, [`app`] builds everything
//! once, [`cli`] is what people type.

pub mod answer;
pub mod app;
pub mod ask;
pub mod cli;
pub mod config;
pub mod egress;
pub mod http;
pub mod keys;
pub mod models;
pub mod retrieve;
pub mod speech;
pub mod tables;
pub mod usage;
