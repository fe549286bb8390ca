//! What makes two systems look like one: their addresses, their cookies, their logins.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Side;
use crate::rewrite::{Addresses, CookieRules};

/// What stands for the systems' own addresses and cookies in answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RewriteOptions {
    /// What clients know: scheme and host, `https://shop.example`.
    pub facade: String,
    /// What the old system says of itself.
    #[serde(default)]
    pub old: SideRewrite,
    /// What the new system says of itself.
    #[serde(default)]
    pub new: SideRewrite,
}

/// What one system says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SideRewrite {
    /// Host names of its own, with their port if they have one.
    pub hosts: Vec<String>,
    /// The path at which it is mounted.
    pub mounted: Option<String>,
    /// The path of the facade that stands for it.
    pub facade_path: Option<String>,
    /// Whether links in text bodies are rewritten too.
    pub bodies: bool,
    /// What becomes of its cookies; without it they stay as they are.
    pub cookies: Option<CookieRules>,
}

impl RewriteOptions {
    /// What one side says of itself.
    pub fn of(&self, side: Side) -> &SideRewrite {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    /// Whether the facade is an address: a scheme and a host, and nothing more.
    pub(crate) fn is_address(&self) -> bool {
        let facade = self.facade.trim_end_matches('/');
        let host = facade.strip_prefix("https://").or_else(|| facade.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' ', '@']))
    }

    /// The addresses of one side.
    pub fn addresses(&self, side: Side) -> Addresses {
        let of = self.of(side);
        let prefix = of.mounted.clone().zip(of.facade_path.clone());
        let facade = self.facade.trim_end_matches('/').to_owned();
        Addresses { hosts: of.hosts.clone(), facade, prefix }
    }

    /// What becomes of the cookies of one side.
    pub fn cookies(&self, side: Side) -> Option<CookieRules> {
        let of = self.of(side);
        let mut rules = of.cookies.clone()?;
        rules.path = rules.path.or_else(|| of.mounted.clone().zip(of.facade_path.clone()));
        Some(rules)
    }
}

/// How somebody who is logged in on one side is known on the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoginOptions {
    /// What the old system takes as a proof.
    pub old: ProofOptions,
    /// What the new system takes as a proof.
    pub new: ProofOptions,
    /// How long somebody is known without asking again. This is also how long a logout may go unnoticed.
    #[serde(default = "keep", with = "dozen_core::duration")]
    pub keep: Duration,
}

fn keep() -> Duration {
    Duration::from_secs(30)
}

impl LoginOptions {
    /// What one side takes as a proof.
    pub fn of(&self, side: Side) -> &ProofOptions {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }
}

/// What one system takes as a proof of who somebody is, and where it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProofOptions {
    /// The cookie that carries it; without it, `authorization: Bearer …` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Service and path that say whose a proof is: `GET` with the proof, 200 with a JSON object that has `sub`.
    pub whose: String,
    /// Service and path that make a proof: `POST` with that object, 200 with a JSON object that has `proof`.
    pub issue: String,
}
