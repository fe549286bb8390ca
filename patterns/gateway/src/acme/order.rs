//! One order, from the account to the file.

use std::path::PathBuf;
use std::time::Duration;

use dozen_dataplane::{ChallengeAnswer, Tls};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};

use super::http::Http;
use super::{AcmeOptions, folder};

/// How long an authority may take to look at the names, and again to sign.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the authority cannot be asked; check `acme.directory`, and `acme.ca` if it is no public one")]
    Authority(#[source] instant_acme::Error),
    #[error("`acme.ca` cannot be used")]
    Ca(#[source] dozen_dataplane::Error),
    #[error("the authority offers no TLS-ALPN-01 for `{name}`; choose another, or name `certificates`")]
    NotOffered { name: String },
    #[error(
        "the authority does not give a certificate for `{names}` ({why}); let each name lead to this listener, on port \
         443 for a public authority"
    )]
    Refused { names: String, why: String },
    #[error("an answer for `{name}` cannot be made: {why}")]
    Answer { name: String, why: String },
    #[error("cannot write to {}; let this user write there, or choose another `acme.folder`", .folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("the authority took longer than {} seconds; it is asked again later", .0.as_secs())]
    TimedOut(Duration),
}

/// Obtains a certificate, and puts it into the folder.
pub(super) async fn obtain(options: &AcmeOptions, tls: &Tls) -> Result<(), OrderError> {
    // Cut off where the authority hangs: nothing is written before the last step.
    let all = PATIENCE * 3;
    tokio::time::timeout(all, order(options, tls)).await.map_err(|_| OrderError::TimedOut(all))?
}

async fn order(options: &AcmeOptions, tls: &Tls) -> Result<(), OrderError> {
    let account = account(options).await?;
    let names: Vec<_> = options.names.iter().map(|name| Identifier::Dns(name.to_ascii_lowercase())).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(|error| {
        if is_unknown_account(&error) {
            folder::forget_account(&options.folder);
        }
        refused(options, error)
    })?;
    // Shown until the authority has looked.
    let answers = answer_all(&mut order, tls).await?;
    let policy = RetryPolicy::new().timeout(PATIENCE);
    let status = order.poll_ready(&policy).await.map_err(|error| refused(options, error))?;
    drop(answers);
    if status != OrderStatus::Ready {
        let why = why_invalid(&mut order).await;
        return Err(OrderError::Refused { names: options.names.join("`, `"), why });
    }
    let key = order.finalize().await.map_err(|error| refused(options, error))?;
    let chain = order.poll_certificate(&policy).await.map_err(|error| refused(options, error))?;
    let file = options.certificate().chain;
    let unwritten = |source| OrderError::Folder { folder: options.folder.clone(), source };
    folder::write(&options.folder, &file, format!("{}\n{key}", chain.trim_end()).as_bytes())
        .map_err(unwritten)
}

async fn account(options: &AcmeOptions) -> Result<Account, OrderError> {
    let http = Http::new(options).map_err(OrderError::Ca)?;
    let builder = Account::builder_with_http(Box::new(http));
    if let Some(kept) = folder::account(&options.folder, &options.directory) {
        return builder.from_credentials(kept).await.map_err(OrderError::Authority);
    }
    let contact: Vec<&str> = options.contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder.create(&new, options.directory.clone(), None).await;
    let (account, credentials) = made.map_err(OrderError::Authority)?;
    folder::keep_account(&options.folder, &options.directory, credentials)
        .map_err(|source| OrderError::Folder { folder: options.folder.clone(), source })?;
    Ok(account)
}

/// Lets the listener answer for each name that the authority has not seen lately, and says that it may look.
async fn answer_all(order: &mut Order, tls: &Tls) -> Result<Vec<ChallengeAnswer>, OrderError> {
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(OrderError::Authority)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) else {
            return Err(OrderError::NotOffered { name });
        };
        let (certificate, key) = answer(&name, challenge.key_authorization().digest().as_ref())
            .map_err(|error| OrderError::Answer { name: name.clone(), why: error.to_string() })?;
        let shown = tls.answer(&name, certificate, key);
        answers.push(shown.map_err(|error| OrderError::Answer { name, why: error.to_string() })?);
        challenge.set_ready().await.map_err(OrderError::Authority)?;
    }
    Ok(answers)
}

/// A certificate for the name that carries the digest, in DER, and its key.
fn answer(name: &str, digest: &[u8]) -> Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.der().to_vec(), key.serialize_der()))
}

/// What the authority says of the names that it did not accept.
async fn why_invalid(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return problem.to_string();
        }
    }
    "it does not say why".to_owned()
}

fn is_unknown_account(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().is_some_and(|name| name.ends_with(":accountDoesNotExist"))
}

fn refused(options: &AcmeOptions, error: instant_acme::Error) -> OrderError {
    match error {
        instant_acme::Error::Api(problem) => {
            OrderError::Refused { names: options.names.join("`, `"), why: problem.to_string() }
        }
        other => OrderError::Authority(other),
    }
}
