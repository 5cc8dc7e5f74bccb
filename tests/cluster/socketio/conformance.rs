//! What clients of two implementations rely on, in each transport mode, and what they rely on below.

use super::{FOLDER, proves, proves_by, rules, setup, unharmed};
use crate::harness::venv;

async fn conforms(mode: &str) {
    let cluster = setup(rules!("conformance")).start().await;
    proves("conformance", &[mode], &cluster.http_urls(), 49).await;
    unharmed(cluster).await;
}

#[tokio::test]
async fn the_client_has_all_it_relies_on_by_polling() {
    conforms("polling").await;
}

#[tokio::test]
async fn the_client_has_all_it_relies_on_by_websocket() {
    conforms("websocket").await;
}

#[tokio::test]
async fn the_client_has_all_it_relies_on_when_it_upgrades() {
    conforms("upgrade").await;
}

#[tokio::test]
async fn the_python_client_has_all_it_relies_on() {
    let cluster = setup(rules!("conformance")).start().await;
    let python = venv(&format!("{FOLDER}/requirements.txt")).await.to_str().unwrap();
    for mode in ["polling", "websocket", "upgrade"] {
        proves_by(python, "conformance.py", &[mode], &cluster.http_urls(), 9).await;
    }
    unharmed(cluster).await;
}

#[tokio::test]
async fn engine_io_is_spoken_to_the_letter_by_one_router_and_by_two_in_turn() {
    let origins = "allowed_origins = [\"http://good.example\"]";
    let cluster = setup(rules!("engine")).router(origins).start().await;
    let urls = cluster.http_urls();
    proves("engine", &[], &urls[..1], 50).await;
    proves("engine", &[], &urls, 50).await;
    unharmed(cluster).await;
}
