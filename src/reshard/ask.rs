//! What processes say in their metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a process may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How much it may say, in bytes.
const ANSWER_MAX: usize = 4 << 20;

/// What a process has said.
#[derive(Clone, Debug)]
pub(super) struct Answer(String);

impl Answer {
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A metric's value, those of all its labels together; `None` if the process has none of this
    /// name.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let rest = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once('}')?.1,
                None => rest,
            };
            rest.strip_prefix(' ')?.trim().parse::<f64>().ok()
        };
        self.0.lines().filter_map(value).reduce(|all, one| all + one)
    }

    /// A count; what is below 0, or no number, is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.number(name).map(|number| number as u64)
    }
}

/// Asks all at once: each has a name, and an address `HOST:PORT`.
pub(super) async fn ask_all<'a>(
    whom: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, anyhow::Result<Answer>> {
    let mut asked = JoinSet::new();
    for (name, address) in whom {
        let (name, address) = (name.to_owned(), address.to_owned());
        asked.spawn(async move {
            let answer = timeout(DEADLINE, ask(&address)).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer in time")));
            (name, answer.with_context(|| address))
        });
    }
    asked.join_all().await.into_iter().collect()
}

async fn ask(address: &str) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let request = Request::get("/metrics").header(header::HOST, address);
        let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        ensure!(answer.status() == StatusCode::OK, "the answer is {}", answer.status());
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| anyhow!(error))?;
        Ok(Answer(String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // It may end as soon as all of the answer has been read.
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name_and_its_labels_are_added_up() {
        let text =
            "# TYPE a gauge\na 3\na_b 5\nb{x=\"1\",y=\"} 2\"} 2\nb{x=\"2\"} 2.5\nc -1\nd x\n";
        let answer = Answer(text.to_owned());
        let numbers = ["a", "a_b", "b", "d", "e"].map(|name| answer.number(name));
        assert_eq!(numbers, [Some(3.0), Some(5.0), Some(4.5), None, None]);
        assert_eq!(
            ["a", "b", "c", "e"].map(|it| answer.count(it)),
            [Some(3), Some(4), Some(0), None]
        );
    }
}
