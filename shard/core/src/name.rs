//! IDs that people choose: users, rooms, namespaces.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

pub use trunkline_config::name::NameError;
use trunkline_config::name::{check_id, check_user};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// [`NameError`] says which rule it breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Who speaks: the token's subject, or the name that was believed.
    UserId,
    check_user
);
name!(
    /// A room within a namespace.
    RoomId,
    check_id
);
impl RoomId {
    /// The room of everyone in a namespace.
    #[must_use]
    pub fn everyone() -> Self {
        Self(Arc::from(EVERYONE))
    }

    pub(crate) fn is_everyone(&self) -> bool {
        &*self.0 == EVERYONE
    }
}

/// The room of everyone in a namespace.
const EVERYONE: &str = "*";

name!(
    /// A namespace, with its leading slash.
    Namespace,
    check_id
);
