//! How clients speak.

pub(crate) mod native;
pub(crate) mod socketio;
