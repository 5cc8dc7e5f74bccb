//! What is refused at the start.
