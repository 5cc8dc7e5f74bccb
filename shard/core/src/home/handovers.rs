//! Private messages on their way into an out-queue, and who wants to know whether they got there.

use std::collections::BTreeMap;

use crate::asker::Asker;
use crate::dedupe::Identity;
use crate::link::Via;
use crate::peer::HandoverId;
use crate::session_id::SessionId;
use crate::topic::Topic;
use crate::{ReceiptId, TrunkId};

/// Who is told what became of a message.
#[derive(Debug)]
pub(super) enum ReportTo {
    /// The owner of an inbox.
    Inbox { owner: Via, topic: Topic, handover: HandoverId },
    /// The sender of a message to one session.
    Sender { asker: Asker, identity: Identity, to: SessionId },
}

impl ReportTo {
    fn is_awaited(&self) -> bool {
        match self {
            Self::Inbox { handover, .. } => handover.is_awaited(),
            Self::Sender { asker, .. } => asker.request.is_awaited(),
        }
    }
}

#[derive(Debug)]
struct Handover {
    report_to: ReportTo,
    /// Routers that have not answered.
    outstanding: u32,
}

/// All that wait for a router's receipt.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    next: u64,
    handovers: BTreeMap<u64, Handover>,
    receipts: BTreeMap<ReceiptId, (TrunkId, u64)>,
}

impl Handovers {
    /// Begins a handover by these trunks; gives a receipt for each.
    pub(super) fn begin(&mut self, report_to: ReportTo, trunks: &[TrunkId]) -> Vec<ReceiptId> {
        self.next += 1;
        let number = self.next;
        let receipts: Vec<ReceiptId> = trunks
            .iter()
            .map(|trunk| {
                self.next += 1;
                let receipt = ReceiptId::new(self.next, report_to.is_awaited());
                self.receipts.insert(receipt, (*trunk, number));
                receipt
            })
            .collect();
        let outstanding = u32::try_from(receipts.len()).unwrap_or(u32::MAX);
        self.handovers.insert(number, Handover { report_to, outstanding });
        receipts
    }

    /// A router has answered. Gives whom to tell, once: at the first success, or when all failed.
    pub(super) fn receipt(&mut self, receipt: ReceiptId, passed: bool) -> Option<ReportTo> {
        let (_, number) = self.receipts.remove(&receipt)?;
        let handover = self.handovers.get_mut(&number)?;
        handover.outstanding -= 1;
        if passed || handover.outstanding == 0 {
            self.handovers.remove(&number).map(|handover| handover.report_to)
        } else {
            None
        }
    }

    /// The receipts that a broken trunk will never give.
    pub(super) fn of_trunk(&self, trunk: TrunkId) -> Vec<ReceiptId> {
        let of_trunk =
            |(receipt, (at, _)): (&ReceiptId, &(TrunkId, u64))| (*at == trunk).then_some(*receipt);
        self.receipts.iter().filter_map(of_trunk).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::UserId;

    fn report_to() -> ReportTo {
        let topic = Topic::Inbox(UserId::parse("alice").unwrap());
        ReportTo::Inbox { owner: Via::test(0), topic, handover: HandoverId(1) }
    }

    #[test]
    fn the_first_success_is_told_and_the_rest_is_silent() {
        let mut handovers = Handovers::default();
        let receipts = handovers.begin(report_to(), &[TrunkId(1), TrunkId(2), TrunkId(3)]);
        assert!(handovers.receipt(receipts[0], false).is_none());
        assert!(handovers.receipt(receipts[1], true).is_some());
        assert!(handovers.receipt(receipts[2], true).is_none());
        assert!(handovers.receipts.is_empty() && handovers.handovers.is_empty());
    }

    #[test]
    fn a_failure_is_told_when_every_router_has_failed() {
        let mut handovers = Handovers::default();
        let receipts = handovers.begin(report_to(), &[TrunkId(1), TrunkId(2)]);
        assert!(handovers.receipt(receipts[0], false).is_none());
        assert_eq!(handovers.of_trunk(TrunkId(2)), vec![receipts[1]]);
        assert!(handovers.receipt(receipts[1], false).is_some());
    }
}
