//! A running `dozen up` with a gateway and a console.

#![allow(dead_code, reason = "each file of tests uses its part")]

use dozen_harness::{Reply, free_port, get, request};

use crate::running::Up;

/// What tokens are signed with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Door {
    pub(crate) up: Up,
    pub(crate) gateway: u16,
    console: u16,
}

impl Door {
    /// `file` is what the file says beside the usual, where the gateway has this port.
    pub(crate) fn open(file: impl Fn(u16) -> String) -> Self {
        Self::beside(&[], file)
    }

    /// The same with these files beside it.
    pub(crate) fn beside(files: &[(&str, &str)], file: impl Fn(u16) -> String) -> Self {
        let (gateway, console) = (free_port(), free_port());
        let text = format!(
            "app: test\nstore: 'sqlite:a.db'\nregistry: {{ listen: '127.0.0.1:0' }}\napi: false\n\
             console: {{ listen: '127.0.0.1:{console}' }}\n{}",
            file(gateway)
        );
        Self { up: Up::beside(files, &text, &[("ID_SECRET", SECRET)]).ready(), gateway, console }
    }

    pub(crate) fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        request("GET", &format!("http://127.0.0.1:{}{path}", self.gateway), headers, b"").unwrap()
    }

    pub(crate) fn metrics(&self) -> String {
        get(&format!("http://127.0.0.1:{}/metrics", self.console)).unwrap().text()
    }
}
