//! TLS: what an address asks for is kept, or refused with a word of what to do.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dozen_harness::Postgres as Server;
use dozen_postgres::{Options, Postgres};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::bench::{append, blocking, ids, open, stream};

/// In every address here, and in no message.
const PASSWORD: &str = "hunter2";

/// Who signs certificates.
struct Authority {
    text: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let text = params.self_signed(&key).expect("a certificate").pem();
        Self { text, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these hosts, or for a user of this name, and its key.
    fn sign(&self, name: &str, hosts: &[&str]) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Who may come, and how.
const RULES: &str = "
local     all all           trust
host      all test  all     trust
hostssl   all bound all     scram-sha-256
hostssl   all certified all cert
hostnossl all plain all     trust
";

/// A server that has a certificate for `localhost`, and files for those who call it.
struct World {
    server: Server,
    /// Authorities: the server's, another, and one that has its name.
    ours: PathBuf,
    other: PathBuf,
    namesake: PathBuf,
    /// A certificate for the user `certified`, and its key.
    cert: PathBuf,
    key: PathBuf,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let [ours, other, namesake] = ["ours", "other", "ours"].map(Authority::new);
        let (cert, key) = ours.sign("db", &["localhost"]);
        let files =
            [("server.crt", &*cert), ("server.key", &key), ("ca.crt", &ours.text), ("pg_hba.conf", RULES)];
        let settings = ["ssl=on", "ssl_ca_file=ca.crt"];
        let server = Server::start_with(&settings, &files).expect("a server");
        let roles = format!(
            "create role bound login superuser password '{PASSWORD}'; create role certified login superuser;
             create role plain login superuser"
        );
        server.psql("postgres", &roles).expect("roles");
        let file = |name: &str, text: &str| {
            let path = server.socket_folder().join(name);
            std::fs::write(&path, text).expect("write");
            path
        };
        let (cert, key) = ours.sign("certified", &[]);
        World {
            ours: file("ours.crt", &ours.text),
            other: file("other.crt", &other.text),
            namesake: file("namesake.crt", &namesake.text),
            cert: file("certified.crt", &cert),
            key: file("certified.key", &key),
            server,
        }
    })
}

impl World {
    fn url(&self, user: &str, host: &str, database: &str, options: &str) -> String {
        let port = self.server.port();
        format!("postgres://{user}:{PASSWORD}@{host}:{port}/{database}?hostaddr=127.0.0.1&{options}")
    }
}

/// A fresh database of the server with TLS.
async fn fresh() -> (&'static World, String) {
    blocking(|| (world(), world().server.fresh_database().expect("a database"))).await
}

/// Opens a store there, writes and reads, and says how many of its connections have TLS and how many have not.
async fn connections(url: &str, database: &str) -> (usize, usize) {
    let store = open(url).await;
    append(&store.journal(), &stream(), "1").await;
    assert_eq!(ids(&store.journal(), &stream()).await, ["1"]);
    let database = database.to_owned();
    let found = blocking(move || {
        let sql = "select s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid)
                   where a.application_name = 'dozen' and a.datname = current_database()";
        world().server.psql(&database, sql).expect("psql")
    });
    let found = found.await;
    let count = |said: &str| found.lines().filter(|line| *line == said).count();
    (count("t"), count("f"))
}

/// What opening a store there says.
async fn refusal(url: &str) -> String {
    let opened = match Options::parse(url) {
        Ok(options) => Postgres::open(options).await.map(drop),
        Err(error) => Err(error),
    };
    let error = opened.expect_err(url).to_string();
    assert!(!error.contains(PASSWORD), "{error}");
    error
}

fn path(path: &Path) -> String {
    path.display().to_string().replace('/', "%2F")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_under_tls_where_the_address_asks_for_it() {
    let (world, database) = fresh().await;
    let [ours, other, namesake] = [&world.ours, &world.other, &world.namesake].map(|file| path(file));
    for (host, options) in [
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("localhost", format!("sslmode=verify-full&sslrootcert={ours}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ours}")),
        ("127.0.0.1", String::new()),
        ("127.0.0.1", "sslmode=prefer&listen=off".to_owned()),
    ] {
        let (_, database) = fresh().await;
        let (secured, bare) = connections(&world.url("test", host, &database, &options), &database).await;
        assert!(secured >= 3 && bare == 0, "{options}: {secured} with TLS, {bare} without");
    }
    let url = |host: &str, options: &str| world.url("test", host, &database, options);
    let (secured, _) = connections(&url("127.0.0.1", "sslmode=disable"), &database).await;
    assert_eq!(secured, 0);

    for (host, options, says) in [
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            "reach the server by a name in its certificate",
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            "not signed by an authority in `sslrootcert`",
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={namesake}"),
            "not signed by an authority in `sslrootcert`",
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            "not signed by an authority in `sslrootcert`",
        ),
        ("localhost", "sslmode=verify-full".to_owned(), "set `sslrootcert`"),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=%2Fnowhere".to_owned(),
            "`sslrootcert`: cannot read /nowhere",
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={}", path(&world.key)),
            "holds no certificate in PEM",
        ),
        ("localhost", format!("sslrootcert={ours}"), "say `sslmode=verify-full`"),
    ] {
        let error = refusal(&url(host, &options)).await;
        assert!(error.contains(says), "{options}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    let url = crate::bench::server().url(&crate::bench::fresh().await).replace("test@", "test:hunter2@");
    for mode in ["require", "verify-ca", "verify-full"] {
        let own = blocking(|| path(&world().ours)).await;
        let error = refusal(&format!("{url}?sslmode={mode}&sslrootcert={own}")).await;
        assert!(
            error.contains(&format!("the server has no TLS, and `sslmode={mode}` insists on it")),
            "{error}"
        );
        assert!(error.contains("turn it on there (`ssl = on`"), "{error}");
    }
    append(&open(&format!("{url}?sslmode=prefer")).await.journal(), &stream(), "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_prefers_tls_goes_without_it() {
    let (world, database) = fresh().await;
    let url = |options: &str| world.url("plain", "localhost", &database, options);
    let (secured, bare) = connections(&url("sslmode=prefer"), &database).await;
    assert!(secured == 0 && bare >= 3, "{secured} with TLS, {bare} without");
    let error = refusal(&url("sslmode=require")).await;
    assert!(error.contains("check user, password, database and `sslmode`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_bound_to_the_servers_certificate() {
    let (world, database) = fresh().await;
    let options = "sslmode=require&channel_binding=require";
    let url = world.url("bound", "localhost", &database, options);
    assert!(connections(&url, &database).await.0 >= 3);
    let wrong = url.replace(PASSWORD, "hunter3");
    let error = refusal(&wrong).await;
    assert!(error.contains("password authentication failed") && !error.contains("hunter3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ours_says_who_we_are() {
    let (world, database) = fresh().await;
    let url = |options: &str| world.url("certified", "localhost", &database, options);
    let (ours, cert, key) = (path(&world.ours), path(&world.cert), path(&world.key));
    let options = format!("sslmode=verify-full&sslrootcert={ours}&sslcert={cert}&sslkey={key}");
    assert!(connections(&url(&options), &database).await.0 >= 3);
    let error = refusal(&url(&format!("sslmode=verify-full&sslrootcert={ours}"))).await;
    assert!(error.contains("certificate"), "{error}");
    let error = refusal(&url(&options.replace(&format!("sslkey={key}"), &format!("sslkey={cert}")))).await;
    assert!(error.contains("`sslkey`"), "{error}");

    // One that an authority signed that the server does not know.
    let (cert, key) = Authority::new("stranger").sign("certified", &[]);
    let stranger = world.server.socket_folder().join("stranger.pem");
    let own = stranger.clone();
    blocking(move || std::fs::write(own, [cert, key].concat()).expect("write")).await;
    let own = path(&stranger);
    let error = refusal(&url(&format!("sslmode=require&sslcert={own}&sslkey={own}"))).await;
    assert!(error.contains("set `sslcert` and `sslkey` to one that it trusts"), "{error}");
}
