//! A page and its JSON twin: two renderings of one value, and the two handlers that all of them share.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use serde::Serialize;

use crate::Error;
use crate::console::{Console, Shared};
use crate::done::Done;
use crate::frame::{self, Page};
use crate::serve::json;

/// What a page shows.
pub(crate) trait View: Serialize + Sized + Send + 'static {
    /// Which page of the navigation it belongs to.
    const PATH: &'static str;

    /// Looks, at what `name` names; it is empty for a page of everything.
    fn gather(console: &Console, name: &str) -> impl Future<Output = Result<Self, Error>> + Send;

    /// What the browser's tab says.
    fn title(&self) -> String;

    /// The streams whose numbers it follows: a beginning of their names.
    fn follows(&self) -> String {
        String::new()
    }

    /// Everything below the navigation.
    fn body(&self, console: &Console, done: &Done) -> Markup;
}

/// A page of everything.
pub(crate) async fn page<V: View>(State(console): Shared, Query(done): Query<Done>) -> Response {
    show::<V>(&console, "", &done).await
}

/// A page of one thing.
pub(crate) async fn page_of<V: View>(
    State(console): Shared,
    Path(name): Path<String>,
    Query(done): Query<Done>,
) -> Response {
    show::<V>(&console, &name, &done).await
}

pub(crate) async fn show<V: View>(console: &Console, name: &str, done: &Done) -> Response {
    let page = V::gather(console, name).await.map(|view| Page {
        title: view.title(),
        path: V::PATH,
        follows: Some(view.follows()),
        body: view.body(console, done),
    });
    frame::answer(console, page)
}

/// The same as JSON.
pub(crate) async fn twin<V: View>(State(console): Shared) -> Response {
    json(V::gather(&console, "").await).into_response()
}

/// The same as JSON.
pub(crate) async fn twin_of<V: View>(State(console): Shared, Path(name): Path<String>) -> Response {
    json(V::gather(&console, &name).await).into_response()
}
