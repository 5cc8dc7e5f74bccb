//! Compiles the `.proto` files with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["trunk.proto", "peer.proto", "api.proto", "log.proto"], ["."])?;
    // `Bytes` instead of `Vec<u8>`: payloads are slices of the receive buffer, not copies.
    let mut prost = tonic_prost_build::Config::new();
    prost.bytes(["."]);
    tonic_prost_build::configure().bytes(".").compile_fds_with_config(files, prost)?;
    println!("cargo:rerun-if-changed=trunk.proto");
    println!("cargo:rerun-if-changed=peer.proto");
    println!("cargo:rerun-if-changed=api.proto");
    println!("cargo:rerun-if-changed=log.proto");
    Ok(())
}
