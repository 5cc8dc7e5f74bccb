//! How clients speak.

pub(crate) mod native;
