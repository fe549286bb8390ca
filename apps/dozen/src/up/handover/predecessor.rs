//! The new side: what it gets from the process before it.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use dozen_core::{Mutex, Timestamp};
use dozen_dataplane::{Listening, Sockets};

use super::wire::Wire;
use super::{Answer, Given, Offer, PROTOCOL, Registered};
use crate::Error;
use crate::up::children::Alive;
use crate::up::{Child, Children};

/// How long the old one may take to say the next thing; it has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(15);

/// The process that this one takes over from.
pub(crate) struct Predecessor {
    wire: Mutex<Wire>,
    sockets: Sockets,
    children: Vec<Child>,
    registered: Vec<Registered>,
}

impl Predecessor {
    /// The one at the other end of the standard input. From then on the standard input is empty.
    pub(crate) fn on_stdin() -> Result<Self, Error> {
        let doing = "hear the process that this one is to take over from";
        Self::hear().map_err(Error::system(doing))
    }

    fn hear() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let mut wire = Wire::new(stream, PATIENCE)?;
        let (offer, files): (Offer, _) = wire.receive()?;
        if offer.protocol != PROTOCOL {
            let why = format!("it speaks version {}, and this binary {PROTOCOL}; restart it", offer.protocol);
            let _ = wire.send(&Answer::Failed(why.clone()), &[]);
            return Err(io::Error::other(why));
        }
        let named = offer.sockets.into_iter().zip(files).map(|(of, file)| Listening {
            setting: of.setting,
            asked: of.asked,
            socket: TcpListener::from(file),
        });
        Ok(Self {
            sockets: Sockets::inherited(named.collect()),
            wire: Mutex::new(wire),
            children: offer.children.into_iter().map(Child::from).collect(),
            registered: offer.registered,
        })
    }

    /// What it listens on.
    pub(in crate::up) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Its children as it sees them.
    pub(in crate::up) fn children(&self) -> Vec<Child> {
        self.children.clone()
    }

    /// What registered itself with it.
    pub(in crate::up) fn registered(&self) -> &[Registered] {
        &self.registered
    }

    /// Tells it why this process ends; it goes on.
    pub(crate) fn failed(&self, why: &str) {
        // If it does not hear it, it sees the end of the process.
        let _ = self.wire().send(&Answer::Failed(why.to_owned()), &[]);
    }

    /// Tells it that this process serves, and takes over its children. If it ended instead, they did, too, and are
    /// started anew.
    pub(in crate::up) async fn relieve(self: &Arc<Self>, children: &Children) -> io::Result<()> {
        let (old, moved) = (self.clone(), "the task that hears the old process ended");
        let given =
            tokio::task::spawn_blocking(move || old.given()).await.map_err(|_| io::Error::other(moved))?;
        match given {
            Ok((standing, alive, guard)) => children.take(standing, alive, guard).await?,
            Err(error) => {
                tracing::warn!(
                    "the old process did not hand its services over ({error}); starting them anew"
                );
                return children.take(Vec::new(), Vec::new(), None).await;
            }
        }
        let old = self.clone();
        let told = tokio::task::spawn_blocking(move || old.wire().send(&Answer::Taken, &[])).await;
        told.map_err(|_| io::Error::other(moved))?
    }

    fn given(&self) -> io::Result<(Vec<Child>, Vec<Alive>, Option<OwnedFd>)> {
        let mut wire = self.wire();
        wire.send(&Answer::Ready, &[])?;
        let (given, files): (Given, _) = wire.receive()?;
        let mut files = files.into_iter();
        let guard = files.next();
        let mut alive = Vec::new();
        for one in given.alive {
            let (Some(out), Some(err)) = (files.next(), files.next()) else {
                return Err(io::Error::other("a process came without its pipes"));
            };
            alive.push(Alive {
                service: one.service,
                instance: one.instance,
                pid: super::pid(one.pid)?,
                since: one.since.map(Timestamp),
                healthy: one.is_healthy,
                identity: one.identity,
                pipes: [out, err],
            });
        }
        Ok((given.children.into_iter().map(Child::from).collect(), alive, guard))
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock()
    }
}
