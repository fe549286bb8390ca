//! What somebody wants done with a feature.

use axum::extract::{Path, State};
use axum::response::Response;
use dozen_strangler::Order;
use maud::{Markup, html};

use super::{known, path};
use crate::console::{Console, Shared};
use crate::done::What;
use crate::form::Filled;
use crate::{Error, frame};

/// Beside the page: who, why, and what.
pub(super) fn form(console: &Console, name: &str) -> Markup {
    html! {
        section {
            h2 { "Orders" }
            form.edit action={ (path(name)) "/order" } method="post" {
                input type="hidden" name="token" value=(console.token);
                label { "Who asks for it " input type="text" name="by" required; }
                label { "Why " input type="text" name="why" required; }
                p.muted.small { "Both stand in the journal. Back and freeze hold it where it is then; thaw lets it go on by itself." }
                div.actions {
                    @for (act, label) in [("forward", "Forward"), ("back", "Back"), ("freeze", "Freeze"), ("thaw", "Thaw"), ("kill", "Kill"), ("revive", "Lift the kill switch"), ("forget", "Forget the noise")] {
                        button type="submit" name="act" value=(act) { (label) }
                    }
                }
            }
        }
    }
}

/// `POST /feature/{name}/order`
pub(crate) async fn order(State(console): Shared, Path(name): Path<String>, form: Filled) -> Response {
    match ordered(&console, &name, &form).await {
        Ok(()) => What::Order.to(&path(&name), 1),
        Err(error) => frame::failed(&console, &error),
    }
}

async fn ordered(console: &Console, name: &str, form: &Filled) -> Result<(), Error> {
    form.check(console)?;
    let wanted = |name: &'static str| {
        form.filled(name).ok_or_else(|| Error::Invalid(format!("the field `{name}` is empty")))
    };
    let ((registry, _), by, why) = (known(console, name)?, wanted("by")?, wanted("why")?);
    let order = match form.get("act") {
        Some("forward") => Order::Forward,
        Some("back") => Order::Back,
        Some("freeze") => Order::Freeze,
        Some("thaw") => Order::Thaw,
        Some("kill") => Order::Kill,
        Some("revive") => Order::Revive,
        Some("forget") => return Ok(registry.forget_noise(name, by, why).await?),
        _ => return Err(Error::Invalid("the form says no order".into())),
    };
    registry.order(name, order, by, why).await?;
    Ok(())
}
