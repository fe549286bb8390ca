//! Programs that a measurement starts: each is a process of its own, so that a core and a memory are its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use clap::Subcommand;

use super::{peer, pinned, routes, slow};
use crate::Failure;
use crate::open::{self, Load};

/// One of them.
#[derive(Subcommand)]
pub(crate) enum Part {
    /// The gateway alone.
    Gateway {
        /// Where it listens.
        listen: SocketAddr,
        /// The service behind it.
        origin: SocketAddr,
    },
    /// A load at a constant rate; says what came of it.
    Load(Load),
    /// An origin that takes its time.
    Slow {
        /// Where it listens.
        listen: SocketAddr,
        /// What it answers with.
        folder: PathBuf,
    },
    /// Many routes in one gateway; says what they cost.
    Routes,
}

impl Part {
    /// Runs it until it is killed, or has said what it has to say.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Gateway { listen, origin } => peer::under_test(listen, origin),
            Self::Load(load) => {
                println!("{}", serde_json::to_string(&open::run(&load)?)?);
                Ok(())
            }
            Self::Slow { listen, folder } => slow::serve(listen, &folder),
            Self::Routes => {
                println!("{}", serde_json::to_string(&routes::cost()?)?);
                Ok(())
            }
        }
    }
}

/// The command that runs a part alone on a core.
pub(super) fn on(core: usize, name: &str) -> Result<Command, Failure> {
    let mut command = pinned(core, std::env::current_exe()?);
    command.args(["part", name]);
    Ok(command)
}
