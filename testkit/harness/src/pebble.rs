//! An authority of the test's own, which speaks ACME.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Program, ensure_debian, ports, wait_until_listening};

/// A running Pebble. It looks at names where the test says, and sees them at once.
pub struct Pebble {
    program: Program,
    port: u16,
}

impl Pebble {
    /// Starts it. `certificate` and `key` (PEM) are those of its own server; challenges by TLS-ALPN-01 are asked at
    /// `tls_port` of the host that a certificate is wanted for. `folder` takes its configuration.
    pub fn start(folder: &Path, certificate: &Path, key: &Path, tls_port: u16) -> Result<Self, String> {
        ensure_debian(&["pebble"])?;
        let port = ports(3);
        let file = folder.join("pebble.json");
        let text = format!(
            "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{port}\", \"managementListenAddress\": \"127.0.0.1:{}\",
              \"certificate\": \"{}\", \"privateKey\": \"{}\", \"httpPort\": {}, \"tlsPort\": {tls_port},
              \"ocspResponderURL\": \"\", \"externalAccountBindingRequired\": false}}}}",
            port + 1,
            certificate.display(),
            key.display(),
            port + 2,
        );
        std::fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let mut command = Command::new("pebble");
        // Every order is looked at anew, at once.
        command.arg("-config").arg(&file).env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        let program = Program::start("pebble", command)?;
        for port in [port, port + 1] {
            wait_until_listening(port, Duration::from_secs(20))
                .map_err(|error| format!("{error}: {}", program.output()))?;
        }
        Ok(Self { program, port })
    }

    /// Where its directory is.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// `host:port` where `GET /roots/0` gives the certificate that everything it signs leads to.
    pub fn management(&self) -> String {
        format!("localhost:{}", self.port + 1)
    }

    /// What it wrote.
    pub fn output(&self) -> String {
        self.program.output()
    }
}
