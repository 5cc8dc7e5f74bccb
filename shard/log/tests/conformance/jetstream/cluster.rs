//! Three servers, of which one is lost.
