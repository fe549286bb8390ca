//! One binary: gateway, registry, sidecars, broker and console.

fn main() -> std::process::ExitCode {
    dozen::cli::main()
}
