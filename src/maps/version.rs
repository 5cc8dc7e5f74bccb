//! The version of the map in use, among a process's metrics.

use prometheus::{IntGauge, Registry};
use trunkline_proto::cluster::{Cluster, Outlook};

/// The metric's name.
pub(crate) const VERSION: &str = "trunkline_map_version";

/// Says which map the process goes by, for as long as the runtime lives.
///
/// # Errors
/// If there is a metric of this name.
pub(crate) fn show_version(registry: &Registry, cluster: &Cluster) -> prometheus::Result<()> {
    let version = IntGauge::new(VERSION, "The version of the shard map in use.")?;
    registry.register(Box::new(version.clone()))?;
    let mut outlooks = cluster.subscribe();
    let show = move |outlook: &Outlook| {
        let number = outlook.view.id().map.version;
        version.set(i64::try_from(number).unwrap_or(i64::MAX));
    };
    show(&outlooks.borrow_and_update());
    tokio::spawn(async move {
        while outlooks.changed().await.is_ok() {
            show(&outlooks.borrow_and_update());
        }
    });
    Ok(())
}
