//! `mcp-backend [--listen ADDRESS]`
use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_backend::main()
}
