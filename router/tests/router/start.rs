//! What is wrong is said before the first client comes.

use std::net::TcpListener;

use prometheus::Registry;
use trunkline_config::settings::{Auth, Certificate, JwtAlgorithm, JwtSettings, Settings};
use trunkline_router::{Router, StartError};

use crate::harness::{FakeShard, options, start};

async fn refusal(change: impl FnOnce(&mut Settings)) -> StartError {
    let shard = FakeShard::start().await;
    Router::start(options(&Registry::new(), shard.address, change)).await.expect_err("refused")
}

#[tokio::test]
async fn a_port_in_use_is_noticed() {
    let shard = FakeShard::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut options = options(&Registry::new(), shard.address, |_| {});
    options.listen = taken.local_addr().expect("bound");
    let error = Router::start(options).await.expect_err("in use").to_string();
    assert!(error.contains("is in use") && error.contains("router.listen"), "{error}");
}

#[tokio::test]
async fn a_port_of_another_router_is_in_use_too() {
    let shard = FakeShard::start().await;
    let first = start(&Registry::new(), shard.address, |_| {}).await;
    let mut options = options(&Registry::new(), shard.address, |_| {});
    options.listen = first.local_addr();
    let error = Router::start(options).await.expect_err("in use");
    assert!(matches!(error, StartError::PortInUse(_)), "{error}");
}

#[tokio::test]
async fn a_key_or_certificate_that_does_not_fit_is_noticed() {
    let error = refusal(|settings| {
        let algorithm = JwtAlgorithm::EdDsa;
        settings.auth =
            Auth::Jwt(JwtSettings { algorithm, key: b"no PEM".to_vec(), audience: None });
    })
    .await;
    assert!(matches!(error, StartError::Key(_)), "{error}");
    let error = refusal(|settings| {
        settings.router.tls =
            Some(Certificate { cert: "nowhere.pem".into(), key: "nowhere.pem".into() });
    })
    .await;
    assert!(matches!(error, StartError::Certificate(_)), "{error}");
}
