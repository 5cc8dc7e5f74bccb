//! Lists the files of the chat page and of the demos, so that a file added to `page/` or `demo/` is
//! served without anybody having to remember a table.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for folder in ["page", "demo"] {
        println!("cargo:rerun-if-changed={folder}");
        let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(folder);
        let mut files = Vec::new();
        list(&root, "", &mut files)?;
        files.sort();
        let mut table = String::from("&[\n");
        for (name, path) in files {
            println!("cargo:rerun-if-changed={}", path.display());
            writeln!(table, "    ({name:?}, include_bytes!({path:?})),")?;
        }
        table.push(']');
        fs::write(Path::new(&env::var("OUT_DIR")?).join(format!("{folder}.rs")), table)?;
    }
    Ok(())
}

/// Adds the files of a folder and of those in it, by their names below the root.
fn list(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}
