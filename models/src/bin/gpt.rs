//! The `gpt` command: see `gpt --help`.

fn main() -> std::process::ExitCode {
    models::cli::run(std::env::args_os())
}
