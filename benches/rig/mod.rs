//! The parts of the load bench.

pub(crate) mod backend;
pub(crate) mod bare;
pub(crate) mod contenders;
pub(crate) mod generator;
mod process;
pub(crate) mod site;
pub(crate) mod table;
mod wire;
